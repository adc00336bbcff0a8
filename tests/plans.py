"""Plans of the small suite, made in process: what the harness's own tests begin with."""

from functools import cache
from typing import Any

from fpmc_bench.catalog.context import Context, load_context
from fpmc_bench.catalog.installed import installed_registry
from fpmc_bench.documents.suite import Suite, validated_suite
from fpmc_bench.engine import Arithmetic, EngineSettings
from fpmc_bench.harness.environment import Notary
from fpmc_bench.harness.ledger import Ledger
from fpmc_bench.harness.plan import Plan, plan_entries
from fpmc_bench.harness.processes import Processes
from fpmc_bench.harness.units import Workload
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


def small_bench(ledger: Ledger, workload: Workload, processes: Processes = ALONE) -> Workbench:
    """A process at work, with notes of this machine."""
    return Workbench(workload, ledger, processes, Notary.of(processes, EngineSettings()))
