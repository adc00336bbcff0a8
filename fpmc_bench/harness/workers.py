"""Computing work units: this process's share, skipping what the ledger has and what has failed.

A unit leaves the process and all that rows share as it found them, or its row fails, nothing of the
unit is kept, and what was shared is loaded anew: no row can move another's figures.
"""

import time
import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import cast

import torch

from fpmc_bench.catalog.built import BuiltDenoiser
from fpmc_bench.catalog.process_state import own_randomness
from fpmc_bench.catalog.strangers import strangers_code
from fpmc_bench.contracts import DenoiseFunction, TeacherModel, UnitFinished
from fpmc_bench.diffusion.noise import generator
from fpmc_bench.documents.environment import UnitNote
from fpmc_bench.documents.protocols import protocol_facts
from fpmc_bench.errors import DiskError, PluginError, RunError
from fpmc_bench.fpmc.source import Source
from fpmc_bench.harness.environment import Notary
from fpmc_bench.harness.ledger import Ledger
from fpmc_bench.harness.listening import Audience
from fpmc_bench.harness.processes import Processes
from fpmc_bench.harness.shared import Shared, Thing
from fpmc_bench.harness.units import Workload, WorkUnit
from fpmc_bench.protocols import prediction_of
from fpmc_bench.protocols.metrics import METRICS
from fpmc_bench.protocols.problem import checked
from fpmc_bench.protocols.sampled_images import sampled_images
from fpmc_bench.protocols.trajectory import Observed
from fpmc_bench.protocols.witness import Witness
from fpmc_bench.storage.arrays import Arrays

Progress = Callable[[int], None]
"""Told how many units of a stage are finished, by all processes together."""
PREDICTION, TRAJECTORY = "prediction", "trajectory"


@dataclass
class Workbench:
    """What a process keeps between units: the workload, the ledger and the denoiser built last.

    `workload` is another one after a row has spoiled what is shared: the same, loaded anew.
    """

    workload: Workload
    ledger: Ledger
    processes: Processes
    notary: Notary
    keeps_predictions: bool = False
    """Of every protocol; else only those of protocols whose predictions are to be looked at."""
    audience: Audience = field(default_factory=Audience)
    """Told of units that this process finishes; of the main one alone."""
    _built: tuple[str, BuiltDenoiser] | None = None
    _test: Source | None = None
    _shared: Shared = field(default_factory=Shared)

    def sample_test_images(self, progress: Progress) -> None:
        """Test images where the dataset has none. Raises: without them nothing can be measured."""
        blocks, context = self.workload.sampled_images(), self.workload.plan.context
        for index in self.processes.share(len(blocks)):
            items, key = blocks[index]
            if not self.ledger.has(key):
                started = time.perf_counter()
                with strangers_code(f"network '{context.tuning.name}'"):
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
            progress(len(self.ledger.names().intersection(key for _, key in blocks)))

    def run_references(self, units: Sequence[WorkUnit], progress: Progress) -> None:
        """The teachers' own predictions. These raise: without them nothing can be measured.

        PluginError where a network changes itself or the process when it is asked.
        """
        for unit in self._mine(units):
            if not self.ledger.has(unit.key):
                arrays, note = self._predict(unit)
                self.ledger.write(unit.key, arrays, note)
            progress(self._finished(units))

    def run_sensitivity(self, progress: Progress) -> None:
        """Sensitivity maps of the tuning teacher, one noise level at a time, into the cache."""
        context = self.workload.plan.context
        maps = context.sensitivity()
        for level in self.processes.share(len(maps)):
            with strangers_code(f"network '{context.tuning.name}'"):
                maps[level]
            progress(level + 1)

    def run_rows(
        self, units: Sequence[WorkUnit], references: Sequence[WorkUnit], progress: Progress
    ) -> None:
        """Per-item errors of every unit. A contestant that raises fails alone, on every rank.

        One that changes what is shared does so with a PluginError; RunError where that can't be
        loaded anew. DiskError where nothing can be kept, which is no contestant's fault.
        """
        reference_keys = {unit.items: unit.key for unit in references}
        for unit in self._mine(units):
            seconds = None
            if not self.ledger.has(unit.key) and not self.ledger.failed(unit.row):
                try:
                    seconds = self._run_row(unit, reference_keys[unit.items])
                except DiskError:
                    raise
                except Exception:  # whatever a stranger's plugin raises is only its own
                    self.ledger.fail(unit.row, traceback.format_exc())
                    if changed := self._shared.changed():
                        self._load_anew(unit.row, changed)
            done = self._finished(units)
            progress(done)
            if seconds is not None:
                told = UnitFinished(unit.row, len(unit.items), seconds, done, len(units))
                self.audience.tell("unit_finished", told)

    def _run_row(self, unit: WorkUnit, reference_key: str) -> float:
        """Compute and keep it; the seconds that it took."""
        arrays, note = self._predict(unit)
        stored = self.ledger.required(reference_key, "the reference's unit")
        reference = torch.from_numpy(stored.arrays[PREDICTION])
        prediction = torch.from_numpy(arrays[PREDICTION])
        for name, metric in METRICS.items():
            arrays[name] = metric(prediction, reference).numpy()
        facts = protocol_facts(unit.provenance.protocol)
        if not (self.keeps_predictions or facts.keeps_predictions):
            del arrays[PREDICTION]
        self.ledger.write(unit.key, arrays, note)
        return note.seconds

    def _predict(self, unit: WorkUnit) -> tuple[Arrays, UnitNote]:
        """Predictions for a block, and a note of the seconds they took, without fitting.

        Of the first block of a row the trajectories too, where its protocol keeps them.

        What draws from the generators that all share draws the same for equal units, wherever they
        are computed. PluginError where the process or what rows share was changed.
        """
        protocol, name = unit.provenance.protocol, unit.contestant.name
        problem = self.workload.plan.problem(protocol, self._test_images())
        first = unit.items.start == 0
        draws = generator(problem.seed, "plugins", unit.items.start).initial_seed()
        self._shared.hold(self._things())
        with torch.no_grad(), strangers_code(f"'{name}'"):
            with own_randomness(problem.seed):
                denoise = checked(self._denoiser(unit), name)
            self._shared.hold(self._things())
            witness = Witness(denoise, problem.sigmas[problem.levels[len(problem.levels) // 2]])
            observed = Observed(witness)
            observes = first and protocol_facts(protocol).keeps_trajectories
            with own_randomness(draws):
                started = time.perf_counter()
                asked = observed if observes else witness
                prediction = prediction_of(protocol)(asked, problem, unit.items)
                seconds = time.perf_counter() - started
                remarks = witness.remarks() if first else ()
        if changed := self._shared.changed():
            raise PluginError(f"'{name}' changed {' and '.join(changed)}, which rows share")
        arrays: Arrays = {PREDICTION: prediction.numpy()}
        if observes:
            arrays[TRAJECTORY] = observed.codes(problem.sigmas)
        return arrays, self.notary.note(seconds, remarks)

    def _things(self) -> dict[str, Thing]:
        """What units compute on and may not change, by what a user would call it."""
        context = self.workload.plan.context
        things: dict[str, Thing] = {
            "the training images": context.dataset.train,
            "the test images": self._test_images(),
            f"the network '{context.tuning.name}'": context.tuning,
            f"the network '{context.evaluation.name}'": context.evaluation,
        }
        if self._built and self._built[1].source is not context.dataset.train:
            things["its augmented source"] = self._built[1].source
        return things

    def _load_anew(self, row: str, changed: Sequence[str]) -> None:
        """Images and networks as they were before a row changed them."""
        self.workload = replace(self.workload, plan=self.workload.plan.anew())
        self._built = self._test = None
        if not self._shared.same_as(self._things()):
            raise RunError(
                f"{row} changed {' and '.join(changed)}, and what was loaded anew is not as it "
                f"was; run again without it: what is finished is kept"
            )
        self._shared = Shared()

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

    def _denoiser(self, unit: WorkUnit) -> DenoiseFunction:
        """Built once per contestant; only the last is kept, for units come contestant by one."""
        plan, name, role = self.workload.plan, unit.contestant.name, unit.contestant.role
        if role != "entry":
            return cast(TeacherModel, plan.network(unit.provenance.protocol, role).denoiser)
        if self._built is None or self._built[0] != name:
            self._built = None  # gone before another is made
            self._built = (name, plan.built(plan.contestant(name)))
        return self._built[1]

    def _mine(self, units: Sequence[WorkUnit]) -> list[WorkUnit]:
        return [units[index] for index in self.processes.share(len(units))]

    def _finished(self, units: Sequence[WorkUnit]) -> int:
        """Of all processes, by names alone: it is asked after every unit."""
        there, failed = self.ledger.names(), self.ledger.failures()
        return sum(unit.key in there or unit.row in failed for unit in units)
