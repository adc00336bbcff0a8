"""One noise level's fine-tuning: AdamW on log q and log r, and the best weights on validation."""

import math
from dataclasses import dataclass, field
from typing import NamedTuple

import torch
from torch import Tensor

from fpmc_bench.engine import fpmc_denoise
from fpmc_bench.engine.gradient import Comparison, soft_posterior
from fpmc_bench.engine.machine.halving import within_memory
from fpmc_bench.errors import InputError
from fpmc_bench.finetune.problem import Batch, LevelProblem
from fpmc_bench.finetune.relaxation import relaxation_of, relaxed_model
from fpmc_bench.finetune.settings import FinetuneSettings
from fpmc_bench.fpmc import FPMC

WORTHWHILE = 1e-3
"""Part of the best error by which a new one must be smaller to keep a training going."""


class Point(NamedTuple):
    """Where a level stands: mean training loss since the point before, error on validation."""

    step: int
    loss: float | None
    error: float


@dataclass
class Descent:
    """The training of one noise level, and all that it would need to go on.

    `stopped` says why it ended early, where that was not for want of improvement.
    """

    problem: LevelProblem
    base: FPMC
    settings: FinetuneSettings
    validation: tuple[Tensor, Tensor]
    budget_bytes: int
    step: int = field(default=0, init=False)
    curve: list[Point] = field(default_factory=list, init=False)
    stopped: str | None = field(default=None, init=False)
    best: dict[str, Tensor] = field(default_factory=dict, init=False)
    """log q and log r as far as they are learned; empty where the base itself is the best."""

    def __post_init__(self) -> None:
        settings = self.settings
        relaxation = relaxation_of(self.base, settings, self.problem.sigma)
        self.relaxation = relaxation.to(self.problem.device)
        self.optimizer = torch.optim.AdamW(
            self.relaxation.parameters(),
            lr=settings.learning_rate,
            weight_decay=settings.weight_decay,
        )
        self._since: list[Tensor] = []

    @property
    def finished(self) -> bool:
        return (
            self.stopped is not None or self.step >= self.settings.steps or self._no_longer_improves
        )

    @property
    def best_error(self) -> float:
        return min(point.error for point in self.curve)

    def start(self) -> None:
        """Measure the base itself, which nothing that is kept may be worse than."""
        self.curve = [Point(0, None, self._error(self.base))]

    def advance(self) -> None:
        """Train up to the next measurement and make it."""
        while self.step < self.settings.steps:
            fault = self._one_step()
            if fault:
                self._stop(fault)
                return
            self.step += 1
            if self.step % self.settings.evaluate_every == 0:
                break
        loss = float(torch.stack(self._since).mean()) if self._since else None
        self._since.clear()
        rounded = self.relaxation.rounded()
        try:
            error = self._error(relaxed_model(self.base, rounded))
        except InputError as fault:  # beyond what half precision holds
            self._stop(f"weights left the range of numbers ({fault})")
            return
        if error < self.best_error:
            self.best = rounded
        self.curve.append(Point(self.step, loss, error))

    def _stop(self, fault: str) -> None:
        self.stopped = f"{fault} at step {self.step}: lower learning_rate, now " + (
            f"{self.settings.learning_rate:g}; the best weights until then are kept"
        )

    def _one_step(self) -> str | None:
        """What went wrong, if anything; then the weights are as they were."""
        batch = self.problem.batch(self.settings, self.step)
        loss = within_memory(self.budget_bytes, lambda budget: self._descend(batch, budget))
        if not math.isfinite(loss.item()):
            return f"the loss became {loss.item()}"
        for parameter in self.relaxation.parameters():
            if parameter.grad is not None and not bool(parameter.grad.isfinite().all()):
                return "the gradient stopped being finite"
        self.optimizer.step()
        self._since.append(loss)
        return None

    def _descend(self, batch: Batch, budget_bytes: int) -> Tensor:
        """The loss over a batch; leaves its gradients with the parameters."""
        problem, relaxation = self.problem, self.relaxation
        comparison = Comparison(
            problem.source, batch.rows, batch.queries, problem.sigma, budget_bytes
        )
        self.optimizer.zero_grad(set_to_none=True)
        answer = soft_posterior(relaxation.precision(), relaxation.response(), comparison)
        loss = (answer - batch.targets).square().mean()
        loss.backward()
        return loss.detach()

    def _error(self, model: FPMC) -> float:
        """Mean squared error over validation items, the whole source compared with; inf if none."""
        queries, targets = self.validation
        try:
            answer = fpmc_denoise(
                model,
                self.problem.source,
                queries,
                self.problem.sigma,
                budget_bytes=self.budget_bytes,
            )
        except InputError:  # some pixel has no response left
            return math.inf
        return float((answer - targets).double().square().mean())

    @property
    def _no_longer_improves(self) -> bool:
        """Whether the last `patience` measurements of what is learned brought nothing worthwhile.

        The base is not among them: where its zeros have to start as something, learning may begin
        far above it.
        """
        learned = [point.error for point in self.curve[1:]]
        if len(learned) <= self.settings.patience:
            return False
        before = min(learned[: -self.settings.patience])
        return not min(learned) < before * (1 - WORTHWHILE)
