"""The stages of a run: test images, what rows need, rows; each a queue of tasks.

Processes meet between them, for what one stage makes all of the next may read.
"""

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from functools import partial
from pathlib import Path

from fpmc_bench.contracts import UnitFinished
from fpmc_bench.documents.failure import failure_of
from fpmc_bench.harness.forecast.costs import map_facts
from fpmc_bench.harness.listening import Audience
from fpmc_bench.harness.progress import Progress
from fpmc_bench.harness.queue import Task, carry_out
from fpmc_bench.harness.run_exchange import RunExchange
from fpmc_bench.harness.tally import ROWS
from fpmc_bench.harness.units import Workload, WorkUnit
from fpmc_bench.harness.workers import Workbench


def execute(
    bench: Workbench,
    remaining: Mapping[str, Sequence[WorkUnit]],
    exchange: RunExchange,
    progress: Progress,
    audience: Audience | None = None,
) -> None:
    """Compute units that are lacking, by protocol, and all they need, into the bench's ledger.

    The audience is told of units that this process finishes. Raises where references can't be had.
    """
    units = [unit for own in remaining.values() for unit in own]
    if not units:
        return
    workload, processes = bench.workload, exchange.processes
    references = needed_references(workload, units)

    def bring_test_images() -> None:
        keys = [key for _, key in workload.sampled_images()]
        exchange.bring_units(keys, everywhere=True)

    def bring_needs() -> None:
        exchange.bring_units([one.key for one in references], everywhere=True)
        exchange.bring_cached(needed_maps(workload, units))

    def bring_rows() -> None:
        exchange.bring_units([one.key for one in units])
        exchange.bring_failures()

    if workload.samples_test_images:
        carry_out("test images", sampling(bench), processes, progress, bring_test_images)
    add_images(bench, units, exchange)
    needs = [*referring(bench, references), *mapping(bench, units)]
    carry_out("references", needs, processes, progress, bring_needs)
    tasks = measuring(bench, units, references, exchange, progress, audience or Audience())
    together = bench.shards is not None
    carry_out(ROWS, tasks, processes, progress, bring_rows, "unit", together=together)


def expect_rows(
    progress: Progress, bench: Workbench, remaining: Mapping[str, Sequence[WorkUnit]]
) -> tuple[str, ...]:
    """Say what rows there are, before any stage: their names."""
    units = [unit for protocol in remaining for unit in bench.workload.rows(protocol)]
    rows = Counter(unit.row for unit in units)
    there = bench.ledger.names()
    without_record = [unit for own in remaining.values() for unit in own]
    lacking = Counter(unit.row for unit in without_record if unit.key not in there)
    first = {unit.row: unit for unit in reversed(units) if unit.row in lacking}
    progress.expect(rows, lacking, {row: _predicted(bench, unit) for row, unit in first.items()})
    for row, report in bench.ledger.failures().items():
        progress.failed(row, failure_of(row, report).reason)
    return tuple(rows)


def needed_references(workload: Workload, units: Sequence[WorkUnit]) -> list[WorkUnit]:
    """The networks' own units that these are measured against."""
    asked = {(unit.provenance.protocol, unit.items) for unit in units}
    protocols = dict.fromkeys(protocol for protocol, _ in asked)
    return [
        one
        for protocol in sorted(protocols)
        for one in workload.references(protocol)
        if (protocol, one.items) in asked
    ]


def sampling(bench: Workbench) -> list[Task]:
    """Blocks of test images, where a dataset has none."""
    return [
        Task(
            "test images",
            partial(bench.ledger.has, key),
            partial(bench.sample, items, key),
            items=items,
        )
        for items, key in bench.workload.sampled_images()
    ]


def add_images(bench: Workbench, units: Sequence[WorkUnit], exchange: RunExchange) -> None:
    """What augmentations add to the source of any unit: all processes make blocks of each.

    A process that is alone makes them when it comes to the row.
    """
    if exchange.processes.world == 1:
        return
    rows: dict[str, set[str]] = {}
    for unit in units:
        if unit.contestant.source.added:
            rows.setdefault(unit.contestant.name, set()).add(unit.row)
    for name, own in rows.items():
        exchange.make_images(partial(bench.add_images, name, sorted(own)))


def referring(bench: Workbench, references: Sequence[WorkUnit]) -> list[Task]:
    """References, a unit each."""
    return [
        Task(
            f"reference {unit.row}",
            partial(bench.ledger.has, unit.key),
            partial(bench.refer, unit),
            _predicted(bench, unit),
            items=unit.items,
        )
        for unit in references
    ]


def needed_maps(workload: Workload, units: Sequence[WorkUnit]) -> list[Path]:
    """The files of sensitivity maps, where any unit needs them."""
    if not any("sensitivity" in unit.contestant.needs for unit in units):
        return []
    return workload.plan.context.sensitivity().files


def mapping(bench: Workbench, units: Sequence[WorkUnit]) -> list[Task]:
    """Sensitivity maps, a noise level each, where any unit needs them."""
    if not needed_maps(bench.workload, units):
        return []
    costs = bench.costs
    seconds = None if costs is None else costs.of(map_facts(bench.workload)).seconds(1)
    return [
        Task(
            f"sensitivity map at sigma {sigma:.3g}",
            lambda: False,  # a look at its file is all that is done then
            partial(bench.map, level),
            seconds,
        )
        for level, sigma in enumerate(bench.workload.plan.context.sigmas)
    ]


def measuring(
    bench: Workbench,
    units: Sequence[WorkUnit],
    references: Collection[WorkUnit],
    exchange: RunExchange,
    progress: Progress,
    audience: Audience,
) -> list[Task]:
    """Units of rows, which are finished too where their row has failed."""
    keys = {(one.provenance.protocol, one.items): one.key for one in references}

    def tell_failure(row: str) -> None:
        progress.dropped()
        if report := bench.ledger.failures().get(row):
            progress.failed(row, failure_of(row, report).reason)

    def task(unit: WorkUnit) -> Task:
        def do() -> float | None:
            # where processes compute it together the main one decides, in `measure`
            if bench.shards is None and exchange.failed(unit.row):
                progress.dropped()
                return None
            seconds = bench.measure(unit, keys[unit.provenance.protocol, unit.items])
            if seconds is None:
                exchange.fail(unit.row)
                tell_failure(unit.row)
            return seconds

        def told(seconds: float | None) -> None:
            if seconds is not None:
                size, done, total = len(unit.items), progress.done, progress.total
                audience.tell("unit_finished", UnitFinished(unit.row, size, seconds, done, total))

        return Task(
            unit.row,
            lambda: bench.ledger.has(unit.key) or bench.ledger.failed(unit.row),
            do,
            _predicted(bench, unit),
            told,
            unit.items,
        )

    for row in dict.fromkeys(unit.row for unit in units):
        if bench.ledger.failed(row):  # before its first unit
            tell_failure(row)
    return [task(unit) for unit in units]


def _predicted(bench: Workbench, unit: WorkUnit) -> float | None:
    return None if bench.costs is None else bench.costs.seconds(unit)
