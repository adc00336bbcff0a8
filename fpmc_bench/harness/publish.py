"""From a finished ledger to records: per-item values joined in order, figures computed once."""

import json
from collections.abc import Sequence

import numpy as np

from fpmc_bench.documents.environment import Environment, UnitNote
from fpmc_bench.documents.protocols import protocol_facts
from fpmc_bench.documents.record import (
    ItemValues,
    Publication,
    Record,
    Share,
    SigmaFigures,
    items_digest,
    write_record,
)
from fpmc_bench.harness.ledger import FinishedUnit, Ledger
from fpmc_bench.harness.plan import Contestant
from fpmc_bench.harness.rundir import RunDirectory
from fpmc_bench.harness.units import Workload, WorkUnit
from fpmc_bench.harness.workers import PREDICTION
from fpmc_bench.protocols.metrics import METRICS
from fpmc_bench.results.statistics import item_means, mean_and_error
from fpmc_bench.storage.arrays import write_arrays

GRID_SAMPLES = 12
"""How many samples per row are kept for the sample grid."""


def publish(workload: Workload, directory: RunDirectory) -> list[Record]:
    """Write a record for every contestant all of whose units are in the ledger.

    One that lacks some, and has not failed, fails now: no row is left out without a word.
    """
    records = []
    protocols = workload.plan.suite.protocols
    for protocol in protocols:
        rows: dict[str, list[WorkUnit]] = {}
        for unit in workload.rows(protocol):
            rows.setdefault(unit.contestant.name, []).append(unit)
        for units in rows.values():
            known = _finished(directory.ledger, units)
            if known is not None:
                record, values = _record(workload, protocol, units[0].contestant, known)
                write_record(directory.records, record, values)
                records.append(record)
            elif not directory.ledger.failed(units[0].row):
                directory.ledger.fail(units[0].row, _incomplete(directory.ledger, units))
    for protocol in protocols:
        if protocol_facts(protocol).keeps_predictions:
            _write_samples(workload, protocol, directory)
    return records


def _finished(ledger: Ledger, units: Sequence[WorkUnit]) -> list[FinishedUnit] | None:
    """All of a row's units; None where one is lacking."""
    found = [ledger.read(unit.key) for unit in units]
    return None if None in found else [one for one in found if one is not None]


def _incomplete(ledger: Ledger, units: Sequence[WorkUnit]) -> str:
    lacking = [unit for unit in units if not ledger.has(unit.key)]
    items = ", ".join(f"{unit.items.start} to {unit.items.stop - 1}" for unit in lacking)
    return (
        f"{len(lacking)} of {len(units)} units are not in the ledger {ledger.directory} (items "
        f"{items}): no record was written; give the same command again\n"
    )


def _record(
    workload: Workload, protocol: str, contestant: Contestant, units: Sequence[FinishedUnit]
) -> tuple[Record, ItemValues]:
    plan = workload.plan
    facts, provenance = protocol_facts(protocol), workload.provenance(contestant, protocol)
    values: ItemValues = {
        metric: np.concatenate([unit.arrays[metric] for unit in units]) for metric in METRICS
    }
    per_sigma = tuple(
        SigmaFigures(
            sigma=provenance.sigmas[level],
            figures={metric: mean_and_error(values[metric][:, column]) for metric in METRICS},
        )
        for column, level in enumerate(provenance.levels if facts.by_sigma else ())
    )
    queries = [len(block) * workload.evaluations(protocol) for block in workload.blocks()]
    notes = [unit.note for unit in units]
    record = Record(
        suite=plan.suite.name,
        suite_fingerprint=plan.suite.fingerprint,
        entry=contestant.name,
        reference=plan.context.teacher(facts.reference).name,
        figures={metric: mean_and_error(item_means(values[metric])) for metric in METRICS},
        per_sigma=per_sigma,
        items_sha256=items_digest(values),
        provenance=provenance,
        seconds_per_query=_seconds_per_query(notes, queries),
        computed=_shares(notes, queries),
        publication=_publication(contestant, notes),
        remarks=plan.context.remarks,
    )
    return record, values


def _seconds_per_query(notes: Sequence[UnitNote], queries: Sequence[int]) -> float:
    """The median over units."""
    rates = [note.seconds / count for note, count in zip(notes, queries, strict=True)]
    return float(np.median(rates))


def _shares(notes: Sequence[UnitNote], queries: Sequence[int]) -> tuple[Share, ...]:
    """What each environment computed, in the order of their first units."""
    # values that hold dicts can't be keys
    environments: dict[str, Environment] = {}
    for note in notes:
        environments.setdefault(note.environment.model_dump_json(), note.environment)
    shares = []
    for environment in environments.values():
        own = [index for index, note in enumerate(notes) if note.environment == environment]
        counts = [queries[index] for index in own]
        shares.append(
            Share(
                environment=environment,
                units=len(own),
                queries=sum(counts),
                seconds_per_query=_seconds_per_query([notes[index] for index in own], counts),
            )
        )
    return tuple(shares)


def _publication(contestant: Contestant, notes: Sequence[UnitNote]) -> Publication:
    last = max(notes, key=lambda note: note.date_utc)
    return Publication(
        citation=contestant.citation,
        url=contestant.url,
        command=last.command,
        date_utc=last.date_utc,
        commits=tuple(sorted({note.commit for note in notes if note.commit})),
    )


def _write_samples(workload: Workload, protocol: str, directory: RunDirectory) -> None:
    """The first samples of every finished row, the reference's on top."""
    rows: dict[str, np.ndarray] = {}
    for unit in [*workload.references(protocol), *workload.rows(protocol)]:
        if unit.items.start == 0 and (found := directory.ledger.read(unit.key)):
            rows[unit.contestant.name] = found.arrays[PREDICTION][:GRID_SAMPLES]
    order = {"order": np.array(json.dumps(list(rows)))}
    write_arrays(directory.samples(protocol), {**rows, **order}, compressed=True)
