"""Rows of one protocol computed anew, a few blocks of each, and compared with their records."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from fpmc_bench.catalog.context import Context
from fpmc_bench.documents.failure import failure_of
from fpmc_bench.engine import EngineSettings, using
from fpmc_bench.errors import FpmcBenchError
from fpmc_bench.harness.claimed import Claim, planned, refuse_contradictions, remarks_on
from fpmc_bench.harness.cluster.agreement import refuse_unlike
from fpmc_bench.harness.cluster.endings import Watched
from fpmc_bench.harness.environment import Notary
from fpmc_bench.harness.ledger import PREDICTION
from fpmc_bench.harness.loaded import Loaded
from fpmc_bench.harness.plan import Contestant, Plan
from fpmc_bench.harness.progress import Progress
from fpmc_bench.harness.run_exchange import RunExchange
from fpmc_bench.harness.stages import execute
from fpmc_bench.harness.units import Workload, WorkUnit
from fpmc_bench.harness.workers import Workbench
from fpmc_bench.results.anew import Scales, Values, compared
from fpmc_bench.results.verified import VerifiedRow


@dataclass(frozen=True, eq=False)
class Trial:
    """Which blocks are computed anew, with what, and how far apart an item may be that agrees."""

    blocks: Sequence[range]
    tolerance: float
    exchange: RunExchange
    settings: EngineSettings
    notary: Notary
    progress: Progress
    watched: Watched

    @property
    def items(self) -> list[int]:
        """Of all blocks."""
        return [item for block in self.blocks for item in block]


def verify_protocol(
    claims: Sequence[Claim], context: Context, trial: Trial
) -> tuple[list[VerifiedRow], Context]:
    """A row a claim, all of one protocol; and the context, which a row may have spoiled, anew.

    What a row can't be found, planned or computed for is its own fault. Raises where references or
    test images can't be had; RunError where processes would not compute the same. Only the main
    process has compared anything.
    """
    arithmetic = trial.settings.arithmetic_on(context.device)
    protocol, alone = claims[0].record.protocol, Workload(Plan(context, ()), arithmetic)
    contestants: dict[str, Contestant] = {}
    rows: dict[str, VerifiedRow] = {}
    for claim in claims:
        try:
            contestant = planned(claim, context, trial.watched)
            refuse_contradictions(claim, contestant, alone)
            contestants[claim.record.stem] = contestant
        except FpmcBenchError as error:
            rows[claim.record.stem] = VerifiedRow(claim.record.entry, protocol, fault=str(error))
    entries = tuple(one for one in contestants.values() if one.role == "entry")
    workload = Workload(Plan(context, entries), arithmetic)
    units = [
        unit
        for unit in workload.rows(protocol)
        if unit.items in trial.blocks
        and unit.row in contestants
        and unit.contestant.role == contestants[unit.row].role
    ]
    asked = {row: [unit.key for unit in units if unit.row == row] for row in contestants}
    refuse_unlike(trial.exchange.processes, asked)
    loaded = Loaded(workload, trial.exchange.ledger)
    bench = Workbench(loaded, trial.notary, watched=trial.watched)
    with using(trial.settings):
        execute(bench, {protocol: units}, trial.exchange, trial.progress)
    if trial.exchange.processes.is_main and units:
        scales = _scales(workload, protocol, trial)
        for claim in claims:
            if own := [unit for unit in units if unit.row == claim.record.stem]:
                remarks = remarks_on(claim, own[0].contestant, workload)
                rows[claim.record.stem] = _judged(claim, own, scales, trial, remarks)
    found = [rows[stem] for claim in claims if (stem := claim.record.stem) in rows]
    return found, bench.workload.plan.context


def _scales(workload: Workload, protocol: str, trial: Trial) -> Scales:
    """By the references of the items that were computed."""
    units = [unit for unit in workload.references(protocol) if unit.items in trial.blocks]
    predictions = [
        trial.exchange.ledger.required(unit.key, "the reference's unit").arrays[PREDICTION]
        for unit in units
    ]
    first = units[0].provenance
    sigmas = [first.sigmas[level] for level in first.levels]
    by_sigma = predictions[0].ndim == 5  # [n,S,C,H,W]
    return Scales.of(np.concatenate(predictions), sigmas if by_sigma else None)


def _judged(
    claim: Claim,
    units: Sequence[WorkUnit],
    scales: Scales,
    trial: Trial,
    remarks: tuple[str, ...],
) -> VerifiedRow:
    record = claim.record
    if report := trial.exchange.ledger.failures().get(record.stem):
        reason = failure_of(record.stem, report).reason
        return VerifiedRow(record.entry, record.protocol, fault=f"it failed here: {reason}")
    finished = [trial.exchange.ledger.required(unit.key, unit.row).arrays for unit in units]
    anew = {name: np.concatenate([one[name] for one in finished]) for name in claim.values}
    recorded = {name: values[trial.items] for name, values in claim.values.items()}
    comparison = compared(recorded, anew, scales)
    by_item = comparison.by_item
    worst = int(by_item.argmax())
    return VerifiedRow(
        record.entry,
        record.protocol,
        tuple(trial.items),
        tuple(np.array(trial.items)[by_item > trial.tolerance].tolist()),
        float(by_item[worst]),
        _place(record.sigmas, trial.items[worst], recorded, anew, comparison.worst(worst), worst),
        remarks=remarks,
    )


def _place(
    sigmas: Sequence[float],
    item: int,
    recorded: Mapping[str, Values],
    anew: Mapping[str, Values],
    where: tuple[str, int | None],
    position: int,
) -> str:
    metric, column = where
    at = (position,) if column is None else (position, column)
    sigma = "" if column is None else f" at sigma {sigmas[column]:.3g}"
    return (
        f"{metric} of item {item}{sigma} is {recorded[metric][at]:.6g} in the record and "
        f"{anew[metric][at]:.6g} here"
    )
