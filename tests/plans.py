"""Plans of the small suite, made in process: what the harness's own tests begin with."""

from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

from fpmc_bench.catalog.context import Context, load_context
from fpmc_bench.catalog.installed import installed_registry
from fpmc_bench.documents.suite import Suite, validated_suite
from fpmc_bench.engine import Arithmetic, EngineSettings
from fpmc_bench.harness.cluster import islands
from fpmc_bench.harness.cluster.processes import Processes
from fpmc_bench.harness.environment import Notary
from fpmc_bench.harness.ledger import Ledger
from fpmc_bench.harness.listening import Audience
from fpmc_bench.harness.loaded import Loaded
from fpmc_bench.harness.plan import Plan, plan_entries
from fpmc_bench.harness.progress import Progress
from fpmc_bench.harness.queue import Task, work
from fpmc_bench.harness.run_exchange import RunExchange
from fpmc_bench.harness.stages import measuring, referring
from fpmc_bench.harness.units import Workload, WorkUnit
from fpmc_bench.harness.workers import Workbench

ALONE = Processes(0, 1, "cpu")
ARITHMETIC = Arithmetic(addition=1.5, split_multiply_add=2.0)
SMALL: dict[str, Any] = {
    "name": "small",
    "items": 7,
    "block_items": 3,
    "seed": 3,
    "dataset": {"name": "digits"},
    "sigmas": {"steps": 4},
    "teachers": {"tuning": "digits-ddpmpp", "evaluation": "digits-ncsnpp"},
    "sensitivity": {"samples": 2},
    "entries": [{"name": "optimal", "denoiser": "optimal"}],
}


def small_suite(**changes: Any) -> Suite:
    """Seven items in blocks of three, four noise levels, the optimal denoiser."""
    return validated_suite({**SMALL, **changes}, "small")


@cache
def loaded() -> Context:
    """Images and networks of the small suite, loaded once for all tests of a process."""
    return load_context(small_suite(), installed_registry(), "cpu")


def small_plan(**changes: Any) -> Plan:
    """Of the small suite with these fields replaced, over the loaded images and networks."""
    return plan_entries(loaded().of(small_suite(**changes)))


def small_workload(**changes: Any) -> Workload:
    return Workload(small_plan(**changes), ARITHMETIC)


def small_bench(ledger: Ledger, workload: Workload) -> Workbench:
    """A process at work, with notes of this machine."""
    return Workbench(Loaded(workload, ledger), Notary.of(ALONE, EngineSettings()))


def refer(bench: Workbench, references: Sequence[WorkUnit], part: slice = slice(None)) -> None:
    """The networks' units, or a part of them, as one process of several does."""
    tasks = [one for one in referring(bench, references)[part] if not one.there()]
    _work("references", tasks)


def measure(
    bench: Workbench,
    units: Sequence[WorkUnit],
    references: Sequence[WorkUnit],
    part: slice = slice(None),
) -> None:
    """Units of rows, or a part of them, that are not there yet."""
    exchange = RunExchange(ALONE, bench.ledger, islands.ALONE, islands.ALONE)
    tasks = measuring(bench, units, references, exchange, Progress(ALONE), Audience())[part]
    _work("rows", [one for one in tasks if not one.there()])


def _work(stage: str, tasks: Sequence[Task]) -> None:
    progress = Progress(ALONE)
    with progress.stage(stage, len(tasks), [(task.name, task.seconds) for task in tasks]):
        work(stage, tasks, ALONE, progress)


def measure_all(folder: Path, workload: Workload, protocol: str, world: int = 1) -> Ledger:
    """References, then rows, by `world` processes that take turns, one after the other."""
    ledger, references = Ledger(folder), workload.references(protocol)
    benches = [small_bench(ledger, workload) for _ in range(world)]
    for rank, bench in enumerate(benches):
        refer(bench, references, slice(rank, None, world))
    for rank, bench in enumerate(benches):
        measure(bench, workload.rows(protocol), references, slice(rank, None, world))
    return ledger
