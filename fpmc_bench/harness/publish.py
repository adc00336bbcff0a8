"""From a finished ledger to records: per-item values joined in order, figures computed once."""

import logging
from collections.abc import Collection, Mapping, Sequence

import numpy as np

from fpmc_bench.documents.environment import Environment, UnitNote
from fpmc_bench.documents.failure import failure_of, read_failures, write_failures
from fpmc_bench.documents.items import ItemValues
from fpmc_bench.documents.protocols import protocol_facts
from fpmc_bench.documents.record import (
    Publication,
    Record,
    Share,
    SigmaFigures,
    write_record,
)
from fpmc_bench.errors import RunError
from fpmc_bench.harness.ledger import FinishedUnit, Ledger
from fpmc_bench.harness.listening import Audience
from fpmc_bench.harness.plan import Contestant
from fpmc_bench.harness.rundir import RunDirectory
from fpmc_bench.harness.samples import keep_samples, keep_trajectories
from fpmc_bench.harness.standing import standing_record
from fpmc_bench.harness.units import Workload, WorkUnit, rows_of
from fpmc_bench.protocols.metrics import METRICS
from fpmc_bench.results.summaries import figure_of

log = logging.getLogger(__name__)


def publish(
    workload: Workload, directory: RunDirectory, audience: Audience | None = None
) -> list[Record]:
    """Write a record for every row all of whose units are in the ledger; the others have failed.

    A record that is there already is left as it is. One with another provenance, or of a row that
    has failed now, is set aside: what tables show is of this run, or of rows that were not in it.
    The audience is told of each that is written.
    """
    records: list[Record] = []
    ledger, protocols = directory.ledger, workload.plan.suite.protocols
    for protocol in protocols:
        for contestant, units in rows_of(workload, protocol).items():
            if ledger.failed(units[0].row):
                continue
            record = standing_record(workload, directory, contestant, protocol)
            if record is None:
                record = _new_record(workload, directory, contestant, units)
                if record is not None and audience is not None:
                    audience.tell("record_saved", record)
            if record is None:
                ledger.fail(units[0].row, _incomplete(ledger, units))
            else:
                records.append(record)
    failures = ledger.failures()
    for stem in failures:
        directory.set_aside(stem)
    _note_failures(directory, {record.stem for record in records}, failures)
    for protocol in protocols:
        if protocol_facts(protocol).keeps_predictions:
            keep_samples(workload, protocol, directory, failures)
        if protocol_facts(protocol).keeps_trajectories:
            keep_trajectories(workload, protocol, directory, failures)
    return records


def _new_record(
    workload: Workload, directory: RunDirectory, contestant: Contestant, units: Sequence[WorkUnit]
) -> Record | None:
    """Written from the ledger; None where a unit is lacking."""
    known = [one for unit in units if (one := directory.ledger.read(unit.key)) is not None]
    if len(known) < len(units):
        return None
    protocol = units[0].provenance.protocol
    against = _remarks_on_reference(workload, protocol, directory.ledger)
    record, values = _record(workload, protocol, contestant, known, against)
    directory.set_aside(record.stem)
    write_record(directory.records, record, values)
    return record


def _remarks_on_reference(workload: Workload, protocol: str, ledger: Ledger) -> tuple[str, ...]:
    """What was noticed of the network that all rows are measured against; it has no row to say."""
    name = workload.plan.context.teacher(protocol_facts(protocol).reference).name
    first = ledger.read(workload.references(protocol)[0].key)
    return tuple(f"the reference {name}: {one}" for one in (first.note.remarks if first else ()))


def _incomplete(ledger: Ledger, units: Sequence[WorkUnit]) -> str:
    lacking = [unit for unit in units if not ledger.has(unit.key)]
    items = ", ".join(f"{unit.items.start} to {unit.items.stop - 1}" for unit in lacking)
    return (
        f"{len(lacking)} of {len(units)} units are not in the ledger {ledger.directory} (items "
        f"{items}): no record was written; give the same command again\n"
    )


def _note_failures(
    directory: RunDirectory, complete: Collection[str], failures: Mapping[str, str]
) -> None:
    """Those of this run, and of rows that were not in it."""
    try:
        known = read_failures(directory.path)
    except RunError as error:
        log.warning("%s; it is written anew", error)
        known = ()
    earlier = {one.stem: one for one in known if one.stem not in complete}
    now = {stem: failure_of(stem, report) for stem, report in failures.items()}
    write_failures(directory.path, {**earlier, **now}.values())


def _record(
    workload: Workload,
    protocol: str,
    contestant: Contestant,
    units: Sequence[FinishedUnit],
    against: Sequence[str],
) -> tuple[Record, ItemValues]:
    plan = workload.plan
    facts, provenance = protocol_facts(protocol), workload.provenance(contestant, protocol)
    values = ItemValues(
        {metric: np.concatenate([unit.arrays[metric] for unit in units]) for metric in METRICS},
        workload.groups(protocol),
    )
    per_sigma = tuple(
        SigmaFigures(
            sigma=provenance.sigmas[level],
            figures={metric: figure_of(values, metric, column) for metric in METRICS},
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
        figures={metric: figure_of(values, metric) for metric in METRICS},
        per_sigma=per_sigma,
        groups=values.group_count,
        items_sha256=values.digest,
        provenance=provenance,
        seconds_per_query=_seconds_per_query(notes, queries),
        computed=_shares(notes, queries),
        publication=_publication(contestant, notes),
        remarks=(
            *plan.context.remarks,
            *against,
            *dict.fromkeys(r for one in notes for r in one.remarks),
        ),
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
        formula=contestant.formula,
        command=last.command,
        date_utc=last.date_utc,
        commits=tuple(sorted({note.commit for note in notes if note.commit})),
    )
