"""Computing work units: this process's share, skipping what the ledger has and what has failed."""

import time
import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from torch import Tensor

from fpmc_bench.catalog.denoisers import assemble
from fpmc_bench.contracts import DenoiseFunction, Denoiser
from fpmc_bench.documents.suite import Protocol
from fpmc_bench.errors import RunError
from fpmc_bench.fpmc.source import Source
from fpmc_bench.harness.ledger import Arrays, Ledger
from fpmc_bench.harness.plan import Contestant, Plan, WorkUnit
from fpmc_bench.harness.processes import Processes
from fpmc_bench.protocols.denoiser_mse import denoised
from fpmc_bench.protocols.metrics import METRICS
from fpmc_bench.protocols.problem import Problem, checked
from fpmc_bench.protocols.sample_mse import sampled
from fpmc_bench.protocols.sampled_images import held_out_samples

Progress = Callable[[int], None]
"""Told how many units of a stage are finished, by all processes together."""

PREDICT: dict[Protocol, Callable[[DenoiseFunction, Problem, range], Tensor]] = {
    "denoiser-mse": denoised,
    "sample-mse": sampled,
}


def evaluations(protocol: Protocol, levels: int) -> int:
    """Denoiser calls per item: one a noise level, or Heun's 2S-1."""
    return levels if protocol == "denoiser-mse" else 2 * levels - 1


@dataclass
class Workbench:
    """What a process keeps between units: the plan, the ledger and the denoisers built so far."""

    plan: Plan
    ledger: Ledger
    processes: Processes
    _built: tuple[str, DenoiseFunction] | None = None

    def run_held_out(self, progress: Progress) -> None:
        """Test images where the dataset has none. Raises: without them nothing can be measured."""
        blocks, plan = self.plan.held_out_keys(), self.plan
        for index in self.processes.share(len(blocks)):
            items, key = blocks[index]
            if not self.ledger.has(key):
                samples = held_out_samples(
                    plan.tuning,
                    plan.dataset.shape,
                    plan.sigmas,
                    plan.suite.seed,
                    items,
                    plan.device,
                )
                self.ledger.write(key, {"prediction": samples.numpy()})
            progress(sum(self.ledger.has(key) for _, key in blocks))

    def run_references(self, units: Sequence[WorkUnit], progress: Progress) -> None:
        """The teachers' own predictions. These raise: without them nothing can be measured."""
        for unit in self._mine(units):
            if not self.ledger.has(unit.key):
                prediction, seconds = self._predict(unit)
                arrays: Arrays = {"prediction": prediction.numpy(), "seconds": np.array(seconds)}
                self.ledger.write(unit.key, arrays)
            progress(self._finished(units))

    def run_sensitivity(self, progress: Progress) -> None:
        """Sensitivity maps of the tuning teacher, one noise level at a time, into the cache."""
        for index in self.processes.share(len(self.plan.sigmas)):
            self.plan.sensitivity([index])
            progress(index + 1)

    def run_entries(
        self, units: Sequence[WorkUnit], references: Sequence[WorkUnit], progress: Progress
    ) -> None:
        """Per-item errors of every unit. A contestant that raises fails alone, on every rank."""
        reference_keys = {unit.items: unit.key for unit in references}
        for unit in self._mine(units):
            if not self.ledger.has(unit.key) and not self.ledger.failed(unit.row):
                try:
                    self._run_entry(unit, reference_keys[unit.items])
                except Exception:  # whatever a stranger's denoiser raises is only its own
                    self.ledger.fail(unit.row, traceback.format_exc())
            progress(self._finished(units))

    def _run_entry(self, unit: WorkUnit, reference_key: str) -> None:
        prediction, seconds = self._predict(unit)
        stored = self.ledger.read(reference_key)
        if stored is None:
            raise RunError(f"the reference unit {reference_key} vanished from the ledger")
        reference = torch.from_numpy(stored["prediction"])
        arrays: Arrays = {
            name: metric(prediction, reference).numpy() for name, metric in METRICS.items()
        }
        arrays["seconds"] = np.array(seconds)
        if unit.protocol == "sample-mse":
            arrays["prediction"] = prediction.numpy()
        self.ledger.write(unit.key, arrays)

    def _predict(self, unit: WorkUnit) -> tuple[Tensor, float]:
        """Predictions for a block and the seconds they took, building the denoiser not counted."""
        denoise = checked(self._denoiser(unit.contestant), unit.contestant.name)
        started = time.perf_counter()
        with torch.no_grad():
            prediction = PREDICT[unit.protocol](denoise, self._problem, unit.items)
        return prediction, time.perf_counter() - started

    @cached_property
    def _problem(self) -> Problem:
        """With the dataset's test images, or with those that `run_held_out` has sampled."""
        if self.plan.dataset.test is not None:
            return self.plan.problem(self.plan.dataset.test)
        parts = []
        for _, key in self.plan.held_out_keys():
            stored = self.ledger.read(key)
            if stored is None:
                raise RunError(f"the held-out samples {key} vanished from the ledger")
            parts.append(torch.from_numpy(stored["prediction"]))
        return self.plan.problem(Source(torch.cat(parts)))

    def _denoiser(self, contestant: Contestant) -> DenoiseFunction:
        """Built once per contestant; only the last is kept, for units come contestant by one."""
        if not isinstance(contestant.denoiser, Denoiser):
            return contestant.denoiser
        if self._built is None or self._built[0] != contestant.name:
            sensitivity = self.plan.sensitivity() if "sensitivity" in contestant.needs else None
            setting = self.plan.setting(contestant.source, sensitivity)
            self._built = (contestant.name, assemble(contestant.denoiser, setting))
        return self._built[1]

    def _mine(self, units: Sequence[WorkUnit]) -> list[WorkUnit]:
        return [units[index] for index in self.processes.share(len(units))]

    def _finished(self, units: Sequence[WorkUnit]) -> int:
        return sum(self.ledger.has(unit.key) or self.ledger.failed(unit.row) for unit in units)
