"""What all records of a run directory share (`documents/identity.py`), of a plan yet to be run."""

from pathlib import Path
from typing import Any

from fpmc_bench.documents.identity import of_provenance
from fpmc_bench.engine import Arithmetic
from fpmc_bench.harness.plan import Plan
from fpmc_bench.harness.units import Workload
from fpmc_bench.storage.keys import content_key

RUNS = Path("runs")
"""Where run directories are made unless somewhere else is asked for."""
KEY_SHOWN = 8
UNKNOWN = Arithmetic(addition=1, split_multiply_add=1)
"""Which is not looked at here."""


def of_plan(plan: Plan) -> dict[str, Any]:
    """Before anything is computed; with the networks' names, which tables show."""
    context, protocol = plan.context, plan.suite.protocols[0]
    whole = Workload(plan, UNKNOWN).provenance(plan.network(protocol, "other network"), protocol)
    return {"networks": [context.tuning.name, context.evaluation.name], **of_provenance(whole)}


def default_run_directory(plan: Plan) -> Path:
    """runs/<suite>-<key>: another item count, seed, network or data set is another directory."""
    key = content_key([plan.suite.fingerprint, of_plan(plan)], letters=KEY_SHOWN)
    return RUNS / f"{plan.suite.name}-{key}"


def shared_facts(plan: Plan) -> dict[str, Any]:
    """What makes rows of one plan and of another incomparable, or their order another."""
    return {"suite": plan.suite.model_copy(update={"description": ""}), **of_plan(plan)}


def facts_of_rows(workload: Workload) -> dict[str, Any]:
    """All that the units' keys are made of."""
    plan = workload.plan
    return {
        f"{row.name}.{protocol}": workload.provenance(row, protocol)
        for protocol in plan.suite.protocols
        for row in (plan.network(protocol, "other network"), *plan.contestants)
    }
