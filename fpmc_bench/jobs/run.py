"""run: a suite measured, the same in one process or in many."""

from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from itertools import product
from pathlib import Path

from fpmc_bench.catalog.entries import Selection, chosen_entries
from fpmc_bench.catalog.finding import load_suite
from fpmc_bench.catalog.installed import installed_registry
from fpmc_bench.catalog.listeners import chosen_listeners
from fpmc_bench.catalog.places import Places
from fpmc_bench.catalog.registry import Registry
from fpmc_bench.contracts import Listener
from fpmc_bench.documents.suite import Suite
from fpmc_bench.engine import DEFAULT_BUDGET_BYTES, EngineSettings, using
from fpmc_bench.errors import UsageError
from fpmc_bench.harness.cluster.agreement import entered_together, refuse_unlike, refused_together
from fpmc_bench.harness.cluster.endings import Watched, watched_by
from fpmc_bench.harness.cluster.processes import Processes, join_processes
from fpmc_bench.harness.dividing import dividing
from fpmc_bench.harness.environment import Notary
from fpmc_bench.harness.forecast.costs import Costs
from fpmc_bench.harness.forecast.outlook import Outlook, outlook_of
from fpmc_bench.harness.forecast.parts import parts_of
from fpmc_bench.harness.identity import (
    RUNS,
    default_run_directory,
    facts_of_rows,
    of_plan,
    shared_facts,
)
from fpmc_bench.harness.listening import Audience
from fpmc_bench.harness.loaded import Loaded
from fpmc_bench.harness.plan import Plan, make_plan
from fpmc_bench.harness.predictions import forget_bare_units, join_predictions
from fpmc_bench.harness.prints import remove_empty
from fpmc_bench.harness.progress import Progress
from fpmc_bench.harness.publish import publish
from fpmc_bench.harness.run_exchange import run_exchange
from fpmc_bench.harness.rundir import RunDirectory
from fpmc_bench.harness.stages import execute, expect_rows
from fpmc_bench.harness.standing import remaining_units
from fpmc_bench.harness.units import Workload
from fpmc_bench.harness.workers import Workbench
from fpmc_bench.interruptions import at_any_end
from fpmc_bench.jobs.outcome import RunOutcome
from fpmc_bench.results.reading import read_tables
from fpmc_bench.results.render import write_tables
from fpmc_bench.results.table import Table
from fpmc_bench.storage.folders import refuse_unwritable
from fpmc_bench.telling.lines import tell


def run_suite(
    suite: Suite | str | Path,
    *,
    denoisers: Sequence[Selection] = (),
    run_dir: str | Path | None = None,
    device: str = "auto",
    fresh: bool = False,
    progress: bool = True,
    memory_budget: int = DEFAULT_BUDGET_BYTES,
    shard_source: bool = False,
    keep_predictions: bool = False,
    unit_timeout_s: float | None = None,
    listeners: Sequence[str | Listener] = (),
    places: Places | None = None,
    registry: Registry | None = None,
) -> RunOutcome:
    """Run a suite and write its records; continue where an earlier run of it stopped.

    Everything is found and checked before the first unit of work (UsageError and its kin; RunError
    for a directory that is in use or holds another run; a folder or a cache that can't be written
    into is refused first). A denoiser or an augmentation that raises fails its own rows; the others
    complete. In a process started by accelerate or torchrun this computes one share; rank 0 writes
    the records. `denoisers` are run in place of the suite's entries: names of entries, denoisers
    with parameters ("ls[patch_sizes=[3,1]]"), files ("./mine.py:Laplace"), or classes; a class is
    known by its code, and by its name in what follows. `memory_budget` is what the engine may use
    beside the source, in bytes. With `shard_source` each process holds a part of the source, and
    all compute every row together (UsageError where this is the only one); so they do by themselves
    where a GPU of theirs has room for a part alone. `keep_predictions` leaves every prediction in
    the directory, and what it was measured against; rows that lack them are computed anew, and
    their records stay. A row whose code takes longer than `unit_timeout_s` for one thing (its
    parameters checked, its denoiser built, a block of items computed) ends this process, and fails
    when it is started again: UsageError where nobody would, as in a notebook. `listeners` are told
    what happens: names, with parameters or without, or ones of your own. `places` say where data,
    networks and weights are that the user keeps.
    """
    registry = registry or installed_registry()
    refuse_unwritable(Path(run_dir or RUNS), "--run-dir")
    heard = chosen_listeners(listeners, registry)
    whole = suite if isinstance(suite, Suite) else load_suite(suite, registry=registry)
    chosen = chosen_entries(whole, denoisers, registry, places or Places())
    processes = join_processes(device)
    if shard_source and processes.world == 1:
        raise UsageError(
            "--shard-source divides the source between processes, and this is the only one; give "
            "--processes 2 or more, or leave it out"
        )
    known = watched_by(processes, unit_timeout_s)
    plan = make_plan(chosen.suite, chosen.registry, processes.device, chosen.places, known)
    directory = RunDirectory(Path(run_dir or default_run_directory(plan)))
    return run_plan(
        plan,
        directory,
        processes,
        fresh=fresh,
        progress=progress,
        memory_budget=memory_budget,
        shard_source=shard_source,
        keep_predictions=keep_predictions,
        listeners=heard,
        watched=known,
    )


def run_plan(
    plan: Plan,
    directory: RunDirectory,
    processes: Processes,
    *,
    fresh: bool = False,
    progress: bool = True,
    memory_budget: int = DEFAULT_BUDGET_BYTES,
    shard_source: bool = False,
    keep_predictions: bool = False,
    listeners: Sequence[Listener] = (),
    failed: Mapping[str, str] | None = None,
    watched: Watched | None = None,
) -> RunOutcome:
    """`run_suite` for a plan that has been made; every process calls it alike.

    `failed`: name -> traceback of entries that have failed before they could be planned. Rows that
    have ended a process, as `watched` knows, fail too.
    """
    watched = watched or Watched()
    exchange = run_exchange(processes, directory.path, directory.ledger)
    leads = exchange.runs.leads
    with entered_together(processes, directory.locked() if leads else nullcontext()):
        settings = EngineSettings(memory_budget)
        workload = Workload(plan, settings.arithmetic_on(processes.device))
        refuse_unlike(processes, shared_facts(plan))
        refuse_unlike(processes, facts_of_rows(workload))
        shards = dividing(plan, processes, shard_source)
        exchange.runs.tell(directory.path)
        with refused_together(processes):
            if leads:
                directory.open(plan.suite, of_plan(plan), fresh=fresh)
                _fail(directory, plan, {**plan.failures, **(failed or {})}, watched)
        remaining = remaining_units(workload, directory, processes, predictions=keep_predictions)
        together = shards is not None
        costs = Costs.here(processes, settings, together=together)
        with refused_together(processes):
            if keep_predictions and leads:
                forget_bare_units(workload, directory.ledger, remaining)
            if processes.is_main:
                ledger, kept = directory.ledger, keep_predictions
                parts = parts_of(workload, ledger, remaining, costs, keep_predictions=kept)
                outlook = outlook_of(parts, processes, settings, costs, together=together)
                _say(outlook, directory.path, visible=progress)
        notary = Notary.of(processes, settings)
        audience = Audience(listeners if processes.is_main else ())
        bench = Workbench(
            Loaded(workload, directory.ledger),
            notary,
            keep_predictions,
            costs=costs,
            shards=shards,
            watched=watched,
            run_dir=directory.path,
        )
        told = Progress(processes, progress, "run", plan.suite.name, directory.path)
        rows = expect_rows(told, bench, remaining)
        audience.tell("run_started", plan.suite.name, directory.path, rows)
        ended = at_any_end(lambda: audience.tell("run_ended", directory.ledger.failures()))
        with told, ended, at_any_end(costs.keep):
            with using(settings):
                execute(bench, remaining, exchange, told, audience)
            records = publish(workload, directory, audience) if processes.is_main else []
            if leads:
                remove_empty(directory.path)
        if keep_predictions:
            join_predictions(workload, directory, records)
        processes.wait()
    failures = directory.ledger.failures()
    return RunOutcome(directory.path, tuple(records), failures, processes.is_main)


def _fail(
    directory: RunDirectory, plan: Plan, entries: Mapping[str, str], watched: Watched
) -> None:
    """Rows of these entries, and rows that have ended a process."""
    for (name, report), protocol in product(entries.items(), plan.suite.protocols):
        directory.ledger.fail(f"{name}.{protocol}", report)
    for row, report in watched.failed.items():
        directory.ledger.fail(row, report)


def _say(outlook: Outlook, directory: Path, *, visible: bool) -> None:
    """What is to come, where that is `visible`, and a doubt in any case.

    RunError where it can't fit memory or disk.
    """
    doubt = outlook.doubt(directory)
    if visible and outlook.left:
        untimed = outlook.untimed
        hint = "; 'fpmc-bench plan' times what was never timed" if untimed else ""
        tell(f"{outlook.line}{hint}", "outlook", seconds=outlook.seconds, untimed=untimed)
    if doubt is not None:
        tell(doubt, "doubt", said=doubt)


def written_tables(directory: Path) -> tuple[tuple[Table, ...], list[Path]]:
    """The tables of a run directory, from its records, and the files that they were written to."""
    tables = read_tables(directory)
    return tables, write_tables(directory, tables)
