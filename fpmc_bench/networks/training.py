"""Training a teacher: EDM's denoising loss, AdamW with warm-up and cosine decay, EMA weights.

Everything random at step k is drawn from (seed, k), so a run resumed from its checkpoint takes
the same steps as one that was never interrupted.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from fpmc_bench.diffusion.noise import generator
from fpmc_bench.networks.checkpoint import load_tensors, save_tensors
from fpmc_bench.networks.config import NetworkConfig
from fpmc_bench.networks.preconditioning import EDMPrecond


@dataclass(frozen=True)
class TrainingPlan:
    """What, besides data and network, determines the weights.

    `sigma_log_mean`, `sigma_log_std`: ln(sigma) is normal (EDM, table 1: -1.2, 1.2). The default
    is wider than EDM's because the suites measure teachers up to sigma 80, which EDM's
    distribution reaches once in a million draws.
    """

    steps: int = 8000
    batch: int = 64
    learning_rate: float = 1e-3
    warmup_steps: int = 300
    ema_decay: float = 0.999
    sigma_log_mean: float = 0.0
    sigma_log_std: float = 1.6
    seed: int = 0

    def learning_rate_at(self, step: int) -> float:
        """Linear warm-up, then half a cosine down to zero at the last step."""
        warmup = min(1.0, (step + 1) / self.warmup_steps)
        return self.learning_rate * warmup * 0.5 * (1 + math.cos(math.pi * step / self.steps))


def edm_loss(network: EDMPrecond, x: Tensor, sigma: Tensor, noise: Tensor) -> Tensor:
    """Mean over the batch of lambda(sigma) ||D(x + sigma eps; sigma) - x||^2 / D (EDM, eq. 2).

    x, noise [B,C,H,W]; sigma [B]. lambda = (sigma^2 + sigma_data^2) / (sigma sigma_data)^2.
    """
    sigma_data = network.config.sigma_data
    weight = (sigma**2 + sigma_data**2) / (sigma * sigma_data) ** 2
    error = network(x + sigma[:, None, None, None] * noise, sigma) - x
    return (weight * error.square().flatten(1).mean(1)).mean()


class Trainer:
    """A network, its moving average and its optimiser at one step of a plan."""

    def __init__(self, config: NetworkConfig, plan: TrainingPlan, device: str = "cpu") -> None:
        torch.manual_seed(plan.seed)
        self.plan, self.step, self.device = plan, 0, torch.device(device)
        self.network = EDMPrecond(config).to(self.device)
        self.average = EDMPrecond(config).to(self.device)
        self.average.load_state_dict(self.network.state_dict())
        self.average.eval().requires_grad_(False)
        self.optimizer = torch.optim.AdamW(
            self.network.parameters(), lr=plan.learning_rate, betas=(0.9, 0.99), weight_decay=0.01
        )

    def run(self, images: Tensor, until: int | None = None) -> Iterator[tuple[int, float]]:
        """Train on images [N,C,H,W] in [-1,1]; yields (steps done, loss) after each step."""
        last = self.plan.steps if until is None else min(until, self.plan.steps)
        while self.step < last:
            loss = self._one_step(images)
            if not math.isfinite(loss):
                raise FloatingPointError(
                    f"the training loss became {loss} at step {self.step}: lower the learning "
                    f"rate (now {self.plan.learning_rate:g})"
                )
            self.step += 1
            yield self.step, loss

    def _one_step(self, images: Tensor) -> float:
        plan = self.plan
        draw = generator(plan.seed, "teacher-training", self.step)
        pick = torch.randint(len(images), (plan.batch,), generator=draw)
        log_sigma = torch.randn(plan.batch, generator=draw) * plan.sigma_log_std
        sigma = (log_sigma + plan.sigma_log_mean).exp().to(self.device)
        x = images[pick].to(self.device)
        noise = torch.randn(x.shape, generator=draw).to(self.device)
        # dropout draws from the global generator
        torch.manual_seed(int(torch.randint(2**62, (), generator=draw)))
        for group in self.optimizer.param_groups:
            group["lr"] = plan.learning_rate_at(self.step)
        loss = edm_loss(self.network.train(), x, sigma, noise)
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self.network.parameters(), 1.0)
        self.optimizer.step()
        self._update_average()
        return loss.item()

    @torch.no_grad()
    def _update_average(self) -> None:
        decay = min(self.plan.ema_decay, (1 + self.step) / (10 + self.step))
        for slow, fast in zip(
            self.average.parameters(), self.network.parameters(), strict=True
        ):
            slow.lerp_(fast, 1 - decay)

    def save(self, path: Path) -> None:
        """Write everything needed to go on; atomic, safetensors only."""
        tensors = {f"network.{k}": v for k, v in self.network.state_dict().items()}
        tensors |= {f"average.{k}": v for k, v in self.average.state_dict().items()}
        for index, state in self.optimizer.state_dict()["state"].items():
            tensors |= {f"optimizer.{index}.{k}": v for k, v in state.items()}
        save_tensors(path, tensors, {"step": self.step, "plan": vars(self.plan)})

    def load(self, path: Path) -> None:
        """Continue from a file written by `save` under the same plan."""
        tensors, card = load_tensors(path)
        if card["plan"] != vars(self.plan):
            raise ValueError(f"{path} was written under another training plan: {card['plan']}")
        self.step = int(card["step"])
        for prefix, module in (("network.", self.network), ("average.", self.average)):
            part = {k.removeprefix(prefix): v for k, v in tensors.items() if k.startswith(prefix)}
            module.load_state_dict(part)
        state: dict[int, dict[str, Tensor]] = {}
        for key, value in tensors.items():
            if key.startswith("optimizer."):
                _, index, name = key.split(".")
                state.setdefault(int(index), {})[name] = value
        groups = self.optimizer.state_dict()["param_groups"]
        self.optimizer.load_state_dict({"state": state, "param_groups": groups})
