"""run: a suite measured, the same in one process or in many."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path

from tqdm import tqdm

from fpmc_bench.catalog.finding import load_suite
from fpmc_bench.catalog.places import Places
from fpmc_bench.catalog.registry import Registry, installed_registry
from fpmc_bench.documents.record import Record, read_records
from fpmc_bench.documents.suite import Suite
from fpmc_bench.engine import DEFAULT_BUDGET_BYTES, EngineSettings, using
from fpmc_bench.harness.environment import Notary
from fpmc_bench.harness.plan import Plan, make_plan
from fpmc_bench.harness.processes import Processes, join_processes
from fpmc_bench.harness.publish import publish
from fpmc_bench.harness.rundir import RUNS, RunDirectory, default_run_directory
from fpmc_bench.harness.units import Workload
from fpmc_bench.harness.workers import Progress, Workbench
from fpmc_bench.results.render import write_reports
from fpmc_bench.results.table import Table, build_tables
from fpmc_bench.storage.folders import refuse_unwritable


@dataclass(frozen=True)
class RunOutcome:
    """What a run leaves: its directory, the records of what it was asked for, and the failures."""

    directory: Path
    records: tuple[Record, ...]
    failures: dict[str, str]
    """`entry.protocol` -> traceback."""
    is_main: bool


def run_suite(
    suite: Suite | str | Path,
    *,
    run_dir: Path | None = None,
    device: str = "auto",
    fresh: bool = False,
    progress: bool = True,
    memory_budget: int = DEFAULT_BUDGET_BYTES,
    places: Places | None = None,
    registry: Registry | None = None,
) -> RunOutcome:
    """Run a suite and write its records; continue where an earlier run of it stopped.

    Everything is found and checked before the first unit of work (UsageError and its kin; RunError
    for a directory that is in use or holds another run; a folder or a cache that can't be written
    into is refused first). A denoiser or an augmentation that raises
    fails its own rows; the others complete. In a process started by accelerate or torchrun this
    computes one share; rank 0 writes the records. `memory_budget` is what the engine may use beside
    the source, in bytes; `places` say where data, networks and weights are that the user keeps.
    """
    registry = registry or installed_registry()
    refuse_unwritable(run_dir or RUNS, "--run-dir")
    chosen = suite if isinstance(suite, Suite) else load_suite(suite, registry=registry)
    processes = join_processes(device)
    plan = make_plan(chosen, registry, processes.device, places)
    directory = RunDirectory(run_dir or default_run_directory(plan.suite))
    return run_plan(
        plan,
        directory,
        processes,
        fresh=fresh,
        progress=progress,
        memory_budget=memory_budget,
    )


def run_plan(
    plan: Plan,
    directory: RunDirectory,
    processes: Processes,
    *,
    fresh: bool = False,
    progress: bool = True,
    memory_budget: int = DEFAULT_BUDGET_BYTES,
) -> RunOutcome:
    """`run_suite` for a plan that has been made; every process calls it alike."""
    with directory.locked() if processes.is_main else nullcontext():
        if processes.is_main:
            directory.open(plan.suite, processes.device, fresh=fresh)
        processes.wait()
        settings = EngineSettings(memory_budget, directory.arithmetic)
        workload = Workload(plan, settings.arithmetic_on(processes.device))
        notary = Notary.of(processes, settings)
        with using(settings):
            _execute(Workbench(workload, directory.ledger, processes, notary), progress)
        records: Sequence[Record] = ()
        if processes.is_main:
            records = publish(workload, directory)
        processes.wait()
    failures = directory.ledger.failures()
    return RunOutcome(directory.path, tuple(records), failures, processes.is_main)


def written_tables(directory: Path) -> tuple[tuple[Table, ...], list[Path]]:
    """The tables of a run directory, and everything that was rendered from its records."""
    records = read_records(directory / "records")
    return build_tables(records), write_reports(directory, records)


def _execute(bench: Workbench, progress: bool) -> None:
    """All stages in turn; processes meet between them."""
    workload, processes = bench.workload, bench.processes
    plan, visible = workload.plan, progress and processes.is_main
    if workload.samples_test_images:
        with _bar("test images", len(workload.blocks()), visible) as report:
            bench.sample_test_images(report)
        processes.wait()
    for protocol in plan.suite.protocols:
        references, units = workload.references(protocol), workload.rows(protocol)
        with _bar(f"{protocol}: reference", len(references), visible) as report:
            bench.run_references(references, report)
        processes.wait()
        if any("sensitivity" in row.needs for row in plan.contestants):
            with _bar("sensitivity maps", len(plan.context.sigmas), visible) as report:
                bench.run_sensitivity(report)
            processes.wait()
        with _bar(protocol, len(units), visible) as report:
            bench.run_rows(units, references, report)
        processes.wait()


@contextmanager
def _bar(label: str, total: int, visible: bool) -> Iterator[Progress]:
    """A progress bar with the time remaining, told the number of finished units."""
    with tqdm(total=total, desc=label, unit="block", disable=not visible, leave=False) as bar:

        def report(finished: int) -> None:
            bar.update(finished - bar.n)

        yield report
