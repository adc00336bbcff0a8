"""Computing work units, one at a time, for whoever hands them out.

A unit leaves the process and all that rows share as it found them, or its row fails, nothing of the
unit is kept, and what was shared is loaded anew: no row can move another's figures.
"""

import time
import traceback
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

import torch

from fpmc_bench.catalog.process_state import own_randomness
from fpmc_bench.catalog.strangers import strangers_code
from fpmc_bench.diffusion.noise import generator
from fpmc_bench.documents.environment import UnitNote
from fpmc_bench.documents.protocols import protocol_facts
from fpmc_bench.errors import DiskError
from fpmc_bench.harness.cluster.endings import Watched
from fpmc_bench.harness.cluster.processes import LostProcessError
from fpmc_bench.harness.cluster.shards import Shards
from fpmc_bench.harness.environment import Notary
from fpmc_bench.harness.forecast.costs import Costs, map_facts, sampled_facts, unit_facts
from fpmc_bench.harness.ledger import PREDICTION, TRAJECTORY, Ledger
from fpmc_bench.harness.loaded import Loaded
from fpmc_bench.harness.plan import Contestant, Plan
from fpmc_bench.harness.prints import log_of, printed_into
from fpmc_bench.harness.units import Workload, WorkUnit
from fpmc_bench.images.made import ElsewhereError
from fpmc_bench.protocols import prediction_of
from fpmc_bench.protocols.metrics import METRICS
from fpmc_bench.protocols.problem import checked
from fpmc_bench.protocols.sampled_images import sampled_images
from fpmc_bench.protocols.trajectory import Observed
from fpmc_bench.protocols.witness import Witness
from fpmc_bench.storage.arrays import Arrays

Made = TypeVar("Made")


@dataclass
class Workbench:
    """What a process computes units on, and where what it makes of them goes: the same ledger."""

    loaded: Loaded
    notary: Notary
    keeps_predictions: bool = False
    """Of every protocol; else only those of protocols whose predictions are to be looked at."""
    costs: Costs | None = None
    """Told what units take."""
    shards: Shards | None = None
    """With which all processes compute every unit of a row; the main one keeps it."""
    _row: str = ""
    """Of the unit that was computed last."""
    watched: Watched = field(default_factory=Watched)
    run_dir: Path | None = None
    """Where what strangers print is kept; None: it is printed as ever."""

    @property
    def workload(self) -> Workload:
        """As it is loaded now."""
        return self.loaded.workload

    @property
    def ledger(self) -> Ledger:
        return self.loaded.ledger

    def sample(self, items: range, key: str) -> None:
        """A block of test images, where the dataset has none.

        Raises what the network raises: without them nothing can be measured.
        """
        context = self.workload.plan.context
        started = time.perf_counter()
        who = f"network '{context.tuning.name}'"
        with self.watched.box.at((), f"{who} was asked for test images"), strangers_code(who):
            samples = sampled_images(
                context.tuning,
                context.dataset.shape,
                context.sigmas,
                context.suite.seed,
                items,
                context.device,
            )
        seconds = time.perf_counter() - started
        self.ledger.write(key, {PREDICTION: samples.numpy()}, self.notary.note(seconds))
        if self.costs is not None:
            self.costs.note(sampled_facts(self.workload), len(items), seconds)

    def refer(self, unit: WorkUnit) -> None:
        """A teacher's own prediction. Raises: without it nothing can be measured.

        PluginError where the network changes itself or the process when it is asked.
        """
        with self._timed(unit):
            arrays, note = self._predict(unit)
            self.ledger.write(unit.key, arrays, note)

    def map(self, level: int) -> None:
        """The sensitivity map of the tuning teacher at a noise level, into the cache."""
        context = self.workload.plan.context
        maps, started = context.sensitivity(), time.perf_counter()
        there = maps.files[level].is_file()
        who = f"network '{context.tuning.name}'"
        with self.watched.box.at((), f"a map of {who} was made"), strangers_code(who):
            maps[level]
        if self.costs is not None and not there:
            self.costs.note(map_facts(self.workload), 1, time.perf_counter() - started)

    def add_images(self, name: str, rows: Collection[str]) -> Mapping[Path, int]:
        """What augmentations add to an entry's source, into the cache, as `beside_units`.

        Gives files that another cache has to send first, with how many images each.
        """

        def made(plan: Plan) -> Mapping[Path, int]:
            try:
                plan.contestant(name).source.made()
            except ElsewhereError as error:
                return error.wanted
            return {}

        return self.beside_units(name, rows, made, "images were added to its source") or {}

    def beside_units(
        self, name: str, rows: Collection[str], work: Callable[[Plan], Made], when: str
    ) -> Made | None:
        """What an entry's plugins do that is no unit of its rows; None where that failed.

        Its `rows` fail where that raises, or changes what rows share (PluginError); RunError and
        DiskError as in `measure`. `when` says in a crash what was done.
        """
        plan = self.workload.plan
        contestant = plan.contestant(name)
        with self._only_its_own(rows):
            self.loaded.seal()
            with (
                self.watched.box.at(rows, when),
                self._apart(contestant, min(rows)),
                torch.no_grad(),
                own_randomness(plan.suite.seed),
            ):
                made = work(plan)
            self.loaded.refuse_changes(name)
            return made
        return None

    def measure(self, unit: WorkUnit, reference_key: str) -> float | None:
        """Per-item errors of a unit, and the seconds it took; None where its row has failed.

        A contestant that raises fails alone, in every process, and so does one that changes what is
        shared (PluginError, its own); RunError where that can't be loaded anew. DiskError where
        nothing can be kept, which is no contestant's fault.
        """
        if self._agreed(self.ledger.failed(unit.row)):
            return None
        with self._only_its_own([unit.row]), self._timed(unit):
            return self._run_row(unit, reference_key)
        return None

    @contextmanager
    def _timed(self, unit: WorkUnit) -> Iterator[None]:
        """Around all that a unit takes, to its file."""
        started = time.perf_counter()
        yield
        if self.costs is not None:
            seconds, first = time.perf_counter() - started, unit.row != self._row
            self.costs.note(unit_facts(unit), len(unit.items), seconds, first=first)
        self._row = unit.row

    @contextmanager
    def _only_its_own(self, rows: Collection[str]) -> Iterator[None]:
        """Around what is done for these rows: whatever a stranger's plugin raises fails them."""
        try:
            yield
        except (DiskError, LostProcessError):
            raise
        except Exception:
            for row in rows:
                self.ledger.fail(row, traceback.format_exc())
            self.loaded.mend(rows)

    def _agreed(self, choice: bool) -> bool:
        """As the main process finds it, where all compute units together."""
        return choice if self.shards is None else self.shards.decided(choice)

    def _run_row(self, unit: WorkUnit, reference_key: str) -> float:
        """Compute and keep it; the seconds that it took."""
        with nullcontext() if self.shards is None else self.shards.unit(unit.row):
            arrays, note = self._predict(unit)
        if self.shards is not None and self.shards.rank > 0:
            return note.seconds
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
        problem = self.workload.plan.problem(protocol, self.loaded.test_images())
        first = unit.items.start == 0
        draws = generator(problem.seed, "plugins", unit.items.start).initial_seed()
        box, items = self.watched.box, f"items {unit.items.start} to {unit.items.stop - 1}"
        rows = [unit.row] if unit.contestant.role == "entry" else []
        self.loaded.seal()
        with torch.no_grad(), self._apart(unit.contestant, unit.row):
            with box.at(rows, f"'{name}' was built"), own_randomness(problem.seed):
                denoise = checked(self.loaded.denoiser(unit), name)
            self.loaded.seal()
            witness = Witness(denoise, problem.sigmas[problem.levels[len(problem.levels) // 2]])
            observed = Observed(witness)
            observes = first and protocol_facts(protocol).keeps_trajectories
            with box.at(rows, f"'{name}' was asked for {items}"), own_randomness(draws):
                started = time.perf_counter()
                asked = observed if observes else witness
                prediction = prediction_of(protocol)(asked, problem, unit.items)
                seconds = time.perf_counter() - started
                remarks = witness.remarks() if first else ()
        self.loaded.refuse_changes(name)
        arrays: Arrays = {PREDICTION: prediction.numpy()}
        if observes:
            arrays[TRAJECTORY] = observed.codes(problem.sigmas)
        return arrays, self.notary.note(seconds, remarks)

    @contextmanager
    def _apart(self, contestant: Contestant, row: str) -> Iterator[None]:
        """Around code of a row: it leaves the process as it was, and a stranger's prints are kept.

        In a file of the row.
        """
        kept = log_of(self.run_dir, row) if self.run_dir and contestant.is_strangers else None
        with printed_into(kept), strangers_code(f"'{contestant.name}'"):
            yield
