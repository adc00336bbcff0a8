"""Computing work units: this process's share, skipping what the ledger has and what has failed."""

import time
import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from fpmc_bench.contracts import DenoiseFunction, Denoiser
from fpmc_bench.documents.protocols import protocol_facts
from fpmc_bench.errors import DiskError
from fpmc_bench.fpmc.source import Source
from fpmc_bench.harness.environment import Notary
from fpmc_bench.harness.ledger import Ledger
from fpmc_bench.harness.plan import Contestant
from fpmc_bench.harness.processes import Processes
from fpmc_bench.harness.units import Workload, WorkUnit
from fpmc_bench.protocols import prediction_of
from fpmc_bench.protocols.metrics import METRICS
from fpmc_bench.protocols.problem import checked
from fpmc_bench.protocols.sampled_images import sampled_images
from fpmc_bench.storage.arrays import Arrays

Progress = Callable[[int], None]
"""Told how many units of a stage are finished, by all processes together."""
PREDICTION = "prediction"


@dataclass
class Workbench:
    """What a process keeps between units: the workload, the ledger and the denoiser built last."""

    workload: Workload
    ledger: Ledger
    processes: Processes
    notary: Notary
    _built: tuple[str, DenoiseFunction] | None = None
    _test: Source | None = None

    def sample_test_images(self, progress: Progress) -> None:
        """Test images where the dataset has none. Raises: without them nothing can be measured."""
        blocks, context = self.workload.sampled_images(), self.workload.plan.context
        for index in self.processes.share(len(blocks)):
            items, key = blocks[index]
            if not self.ledger.has(key):
                started = time.perf_counter()
                samples = sampled_images(
                    context.tuning,
                    context.dataset.shape,
                    context.sigmas,
                    context.suite.seed,
                    items,
                    context.device,
                )
                note = self.notary.note(time.perf_counter() - started)
                self.ledger.write(key, {PREDICTION: samples.numpy()}, note)
            progress(sum(self.ledger.has(key) for _, key in blocks))

    def run_references(self, units: Sequence[WorkUnit], progress: Progress) -> None:
        """The teachers' own predictions. These raise: without them nothing can be measured."""
        for unit in self._mine(units):
            if not self.ledger.has(unit.key):
                prediction, seconds = self._predict(unit)
                note = self.notary.note(seconds)
                self.ledger.write(unit.key, {PREDICTION: prediction.numpy()}, note)
            progress(self._finished(units))

    def run_sensitivity(self, progress: Progress) -> None:
        """Sensitivity maps of the tuning teacher, one noise level at a time, into the cache."""
        maps = self.workload.plan.context.sensitivity()
        for level in self.processes.share(len(maps)):
            maps[level]
            progress(level + 1)

    def run_rows(
        self, units: Sequence[WorkUnit], references: Sequence[WorkUnit], progress: Progress
    ) -> None:
        """Per-item errors of every unit. A contestant that raises fails alone, on every rank.

        DiskError where nothing can be kept, which is no contestant's fault.
        """
        reference_keys = {unit.items: unit.key for unit in references}
        for unit in self._mine(units):
            if not self.ledger.has(unit.key) and not self.ledger.failed(unit.row):
                try:
                    self._run_row(unit, reference_keys[unit.items])
                except DiskError:
                    raise
                except Exception:  # whatever a stranger's plugin raises is only its own
                    self.ledger.fail(unit.row, traceback.format_exc())
            progress(self._finished(units))

    def _run_row(self, unit: WorkUnit, reference_key: str) -> None:
        prediction, seconds = self._predict(unit)
        stored = self.ledger.required(reference_key, "the reference's unit")
        reference = torch.from_numpy(stored.arrays[PREDICTION])
        arrays: Arrays = {
            name: metric(prediction, reference).numpy() for name, metric in METRICS.items()
        }
        if protocol_facts(unit.provenance.protocol).keeps_predictions:
            arrays[PREDICTION] = prediction.numpy()
        self.ledger.write(unit.key, arrays, self.notary.note(seconds))

    def _predict(self, unit: WorkUnit) -> tuple[Tensor, float]:
        """Predictions for a block and the seconds they took, fitting the denoiser not counted."""
        protocol = unit.provenance.protocol
        denoise = checked(self._denoiser(unit.contestant), unit.contestant.name)
        problem = self.workload.plan.problem(protocol, self._test_images())
        started = time.perf_counter()
        with torch.no_grad():
            prediction = prediction_of(protocol)(denoise, problem, unit.items)
        return prediction, time.perf_counter() - started

    def _test_images(self) -> Source:
        """The dataset's, or those that `sample_test_images` has sampled."""
        if self._test is None:
            self._test = self.workload.plan.context.dataset.test or self._sampled()
        return self._test

    def _sampled(self) -> Source:
        parts = [
            torch.from_numpy(self.ledger.required(key, "sampled test images").arrays[PREDICTION])
            for _, key in self.workload.sampled_images()
        ]
        return Source(torch.cat(parts))

    def _denoiser(self, contestant: Contestant) -> DenoiseFunction:
        """Built once per contestant; only the last is kept, for units come contestant by one."""
        if not isinstance(contestant.denoiser, Denoiser):
            return contestant.denoiser
        if self._built is None or self._built[0] != contestant.name:
            self._built = None  # gone before another is made
            self._built = (contestant.name, self.workload.plan.built(contestant))
        return self._built[1]

    def _mine(self, units: Sequence[WorkUnit]) -> list[WorkUnit]:
        return [units[index] for index in self.processes.share(len(units))]

    def _finished(self, units: Sequence[WorkUnit]) -> int:
        return sum(self.ledger.has(unit.key) or self.ledger.failed(unit.row) for unit in units)
