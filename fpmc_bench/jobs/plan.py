"""plan: what a run is going to take, told before anything long runs (`harness/forecast`)."""

import os
import shutil
import time
from bisect import bisect_right
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import torch

from fpmc_bench.catalog.entries import Selection, chosen_entries
from fpmc_bench.catalog.finding import load_suite
from fpmc_bench.catalog.installed import installed_registry
from fpmc_bench.catalog.places import Places
from fpmc_bench.catalog.registry import Registry
from fpmc_bench.documents.suite import Suite
from fpmc_bench.engine import DEFAULT_BUDGET_BYTES, EngineSettings, using
from fpmc_bench.errors import RunError, UsageError
from fpmc_bench.harness.cluster.processes import Processes, join_processes
from fpmc_bench.harness.environment import Notary
from fpmc_bench.harness.forecast.costs import Costs
from fpmc_bench.harness.forecast.outlook import START, Outlook, ending_seconds, starting_seconds
from fpmc_bench.harness.forecast.parts import parts_of
from fpmc_bench.harness.forecast.peaks import own_bytes
from fpmc_bench.harness.forecast.pilot import Pilot
from fpmc_bench.harness.identity import RUNS, default_run_directory, of_plan
from fpmc_bench.harness.ledger import Ledger
from fpmc_bench.harness.plan import Plan, make_plan, plan_entries
from fpmc_bench.harness.rundir import RunDirectory
from fpmc_bench.harness.standing import remaining_units
from fpmc_bench.harness.units import Workload, WorkUnit
from fpmc_bench.storage.folders import refuse_unwritable
from fpmc_bench.storage.temporary import temporary_folder
from fpmc_bench.telling.times import span

DEFAULT_SECONDS = 10.0
"""About what timing may take, a row."""


@dataclass(frozen=True)
class RunPlan:
    """What a run of a suite with so many items is going to take.

    `errors` are the standard errors that its figures will have, by row (ENTRY.PROTOCOL); `used`
    what of the cache an entry needs; `failures` the tracebacks of rows that raised when they were
    timed; `refusal` why it can't be run here, and `doubt` why it may be short of memory.
    """

    directory: Path
    items: int
    outlook: Outlook
    errors: Mapping[str, float]
    used: Mapping[str, str]
    failures: Mapping[str, str]
    refusal: str | None
    doubt: str | None


def plan_suite(
    suite: Suite | str | Path,
    *,
    denoisers: Sequence[Selection] = (),
    run_dir: str | Path | None = None,
    device: str = "auto",
    processes: int = 1,
    memory_budget: int = DEFAULT_BUDGET_BYTES,
    keep_predictions: bool = False,
    time_budget: float | None = None,
    seconds: float = DEFAULT_SECONDS,
    began: float | None = None,
    told: Callable[[str], object] = lambda _: None,
    places: Places | None = None,
    registry: Registry | None = None,
) -> RunPlan:
    """What `run_suite` would take for so many `processes` of this machine.

    Rows that were never timed here are timed, about `seconds` each: units that are affordable are
    computed into the run directory, others guessed. With `time_budget` (seconds) the run has as
    many items as that allows, whole blocks and at most the suite's; UsageError where it allows
    none. `began` is when the command did, by `time.perf_counter`. `told` hears what is timed. Else
    raises as `run_suite`.
    """
    began = time.perf_counter() if began is None else began
    registry = registry or installed_registry()
    refuse_unwritable(Path(run_dir or RUNS), "--run-dir")
    whole = suite if isinstance(suite, Suite) else load_suite(suite, registry=registry)
    chosen = chosen_entries(whole, denoisers, registry, places or Places())
    alone = join_processes(device)
    plan = make_plan(chosen.suite, chosen.registry, alone.device, chosen.places)
    settings = EngineSettings(memory_budget)
    with _threads_of(processes), using(settings):
        costs = Costs.here(alone, settings)
        costs.note(START, 1, time.perf_counter() - began)
        job = _Planning(
            plan, alone, settings, costs, processes, keep_predictions, seconds, own_bytes(), told
        )
        try:
            if time_budget is None:
                return job.of(RunDirectory(Path(run_dir or default_run_directory(plan))))
            return job.within(time_budget, run_dir)
        finally:
            costs.keep()


@dataclass(frozen=True)
class _Planning:
    plan: Plan
    alone: Processes
    settings: EngineSettings
    costs: Costs
    processes: int
    keep_predictions: bool
    seconds: float
    held_bytes: int
    told: Callable[[str], object]

    def of(self, directory: RunDirectory) -> RunPlan:
        """Of a run in this directory, whose rows may have been computed in part."""
        workload = self._workload(self.plan)
        with directory.locked():
            directory.open(self.plan.suite, of_plan(self.plan), fresh=False)
            ledger = directory.ledger
            remaining = remaining_units(
                workload, directory, self.alone, predictions=self.keep_predictions
            )
            pilot = self._timed(workload, ledger, remaining)
            outlook = self._outlook(pilot.workload, ledger, remaining)
            errors = pilot.standard_errors(workload.plan.suite.items)
            return self._told(directory, workload.plan.suite.items, outlook, errors, pilot)

    def within(self, budget: float, run_dir: str | Path | None) -> RunPlan:
        """Of a run with as many items as take so many seconds; what was timed goes there."""
        workload = self._workload(self.plan)
        with temporary_folder() as folder:
            ledger = Ledger(folder)
            _copy(RunDirectory(Path(run_dir or default_run_directory(self.plan))).ledger, ledger)
            pilot = self._timed(workload, ledger, _all_units(workload), spread=True)
            items = self._affordable(budget, ledger)
            plan = self._with_items(items)
            directory = RunDirectory(Path(run_dir or default_run_directory(plan)))
            with directory.locked():
                directory.open(plan.suite, of_plan(plan), fresh=False)
                _copy(ledger, directory.ledger)
                chosen = self._workload(plan)
                remaining = remaining_units(
                    chosen, directory, self.alone, predictions=self.keep_predictions
                )
                outlook = self._outlook(chosen, directory.ledger, remaining)
            return self._told(directory, items, outlook, pilot.standard_errors(items), pilot)

    def _timed(
        self,
        workload: Workload,
        ledger: Ledger,
        remaining: Mapping[str, Sequence[WorkUnit]],
        *,
        spread: bool = False,
    ) -> Pilot:
        notary = Notary.of(self.alone, self.settings)
        pilot = Pilot(
            workload, ledger, self.costs, notary, self.seconds, self.keep_predictions, self.told
        )
        pilot.run(remaining, spread=spread)
        return pilot

    def _outlook(
        self, workload: Workload, ledger: Ledger, remaining: Mapping[str, Sequence[WorkUnit]]
    ) -> Outlook:
        starts = starting_seconds(self.costs, self.processes)
        return Outlook(
            parts_of(
                workload, ledger, remaining, self.costs, keep_predictions=self.keep_predictions
            ),
            self.processes,
            self.processes,
            self.settings.budget_bytes,
            starts + ending_seconds(self.costs),
            self.held_bytes,
            on_gpu=self.alone.device != "cpu",
        )

    def _affordable(self, budget: float, ledger: Ledger) -> int:
        """The most items, in whole blocks. UsageError where not one block is affordable."""
        suite = self.plan.suite
        sizes = [*range(suite.block_items, suite.items, suite.block_items), suite.items]

        def taken(items: int) -> float:
            workload = self._workload(self._with_items(items))
            return self._outlook(workload, ledger, _all_units(workload)).seconds

        fitting = bisect_right(sizes, budget, key=taken)
        if fitting == 0:
            raise UsageError(
                f"the least that fits no --time-budget of {span(budget)}: {sizes[0]} items take "
                f"about {span(taken(sizes[0]))}; give at least that, fewer entries (-d), one "
                f"protocol (-p) or more --processes"
            )
        found: int = sizes[fitting - 1]
        return found

    def _with_items(self, items: int) -> Plan:
        suite = self.plan.suite.replaced(items=items)
        context = self.plan.context.of(suite)
        return plan_entries(context)

    def _workload(self, plan: Plan) -> Workload:
        return Workload(plan, self.settings.arithmetic_on(self.alone.device))

    def _told(
        self,
        directory: RunDirectory,
        items: int,
        outlook: Outlook,
        errors: Mapping[str, float],
        pilot: Pilot,
    ) -> RunPlan:
        refusal = doubt = None
        try:
            doubt = outlook.doubt(directory.path)
        except RunError as error:
            refusal = str(error)
        failures = {**self._unplanned, **pilot.ledger.failures()}
        return RunPlan(directory.path, items, outlook, errors, pilot.used, failures, refusal, doubt)

    @property
    def _unplanned(self) -> dict[str, str]:
        """Entries whose plugin broke as it was checked."""
        return {
            f"{name}.{protocol}": report
            for name, report in self.plan.failures.items()
            for protocol in self.plan.suite.protocols
        }


def _copy(units: Ledger, to: Ledger) -> None:
    """Which `to` believes as any of its own."""
    to.directory.mkdir(parents=True, exist_ok=True)
    for path in units.directory.glob("*.npz"):
        shutil.copy2(path, to.directory)


def _all_units(workload: Workload) -> dict[str, list[WorkUnit]]:
    return {protocol: workload.rows(protocol) for protocol in workload.plan.suite.protocols}


@contextmanager
def _threads_of(processes: int) -> Iterator[None]:
    """As many threads as each of so many processes would have."""
    before = torch.get_num_threads()
    if processes > 1 and "OMP_NUM_THREADS" not in os.environ:
        torch.set_num_threads(max(1, (os.cpu_count() or 1) // processes))
    try:
        yield
    finally:
        torch.set_num_threads(before)
