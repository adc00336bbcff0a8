"""Leaderboard: records -> one neutral table per protocol, for the renderers in `render`."""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from fpmc_bench.documents.attestation import Attestation, verification
from fpmc_bench.documents.failure import Failure
from fpmc_bench.documents.items import ItemValues
from fpmc_bench.documents.protocols import PROTOCOLS
from fpmc_bench.documents.record import Figure, Record
from fpmc_bench.results.caption import caption_of
from fpmc_bench.results.checks import (
    refuse_altered,
    refuse_of_different_rows,
    refuse_of_different_suites,
)
from fpmc_bench.results.remarks import as_sentences, remarks_on
from fpmc_bench.results.statistics import Difference, paired_difference
from fpmc_bench.results.summaries import contributions, independent_error
from fpmc_bench.results.sweeps import ParameterSweep, sweeps_among
from fpmc_bench.results.ties import is_tied, tie_p_values
from fpmc_bench.results.timing import timing_sentences

RANKED_BY = "mse@1"
POOLED_IN_PLACE_OF = {"r2@1": "r2-pooled@1"}
"""Metrics that tables for people leave to CSV and JSON where there is the other one: that of a flat
reference is a quotient of two small numbers, and moves the mean of all."""


@dataclass(frozen=True)
class Row:
    """One entry, or the other network (the teacher nothing is measured against), without a rank."""

    entry: str
    rank: int | None
    best: bool
    """The best entry, or one that can't be told from it (`results/ties.py`)."""
    from_best: Difference | None
    """How much worse it is than the entry of least `mse@1`, item by item, with its standard error;
    the p-value is for all entries together. None for the other network."""
    figures: Mapping[str, Figure]
    item_errors: Mapping[str, float]
    """By metric, what the standard error would be were items independent: the figure's own, but
    where items come in groups."""
    by_sigma: tuple[Figure, ...]
    """mse@1 at every noise level of the table; empty where the protocol has none of its own."""
    seconds_per_query: float
    verification: str
    """claimed, verified (n items) or reproduced, by the attestation beside its record."""
    remarks: tuple[str, ...]
    """What a reader of its figures should know, a sentence each."""


@dataclass(frozen=True)
class FailedRow:
    """An entry that was asked for and has no figures, and the reason in a line."""

    entry: str
    reason: str


@dataclass(frozen=True)
class Table:
    """One protocol's leaderboard: the other network's row, then the entries by `mse@1`."""

    suite: str
    suite_fingerprint: str
    protocol: str
    reference: str
    items: int
    groups: int | None
    """That the items are of, by which standard errors are clustered; None: each on its own."""
    metrics: tuple[str, ...]
    sigmas: tuple[float, ...]
    """The noise levels of `by_sigma`."""
    rows: tuple[Row, ...]
    failed: tuple[FailedRow, ...]
    """Shown last."""
    sweeps: tuple[ParameterSweep, ...]
    """Parameters that rows were made to differ in."""
    caption: tuple[str, ...]
    """Sentences: what was measured, against what, how ± was computed, the rows' remarks, and why
    rows failed."""

    @property
    def measured(self) -> str:
        """What rows were measured on: so many items, in so many groups."""
        return f"{self.items} items" + (f" in {self.groups} groups" if self.groups else "")

    def __repr__(self) -> str:
        return f"Table({self.suite}: {self.protocol}, {len(self.rows)} rows, {self.items} items)"

    @property
    def shown(self) -> tuple[str, ...]:
        """Of the metrics, those that tables for people have."""
        return _shown(self.metrics)


def build_tables(
    records: Sequence[tuple[Record, ItemValues]],
    failures: Sequence[Failure] = (),
    attestations: Mapping[str, Attestation] | None = None,
) -> tuple[Table, ...]:
    """One table per protocol that has records, in the order of `PROTOCOLS`.

    `failures` are rows without records, which stand last in their table; `attestations` are those
    that lie beside the records, as `read_attestations` gives them.

    Each record comes with its per-item values, [items,S] or [items] as `ItemValues` says.
    RunError where records of different suites, items, datasets, teachers or metric versions are
    mixed (naming two files and the field), where an entry stands twice, or where a record's
    figures are not those of its per-item values.
    """
    refuse_of_different_suites([record for record, _ in records])
    tables = []
    for protocol in PROTOCOLS:
        mine = [(record, values) for record, values in records if record.protocol == protocol]
        if mine:
            refuse_of_different_rows(mine)
            failed = [one for one in failures if one.protocol == protocol]
            tables.append(_table(mine, failed, attestations or {}))
    return tuple(tables)


def _table(
    records: Sequence[tuple[Record, ItemValues]],
    failures: Sequence[Failure],
    attestations: Mapping[str, Attestation],
) -> Table:
    first = records[0][0]
    there = {record.entry for record, _ in records}
    failed = tuple(FailedRow(one.entry, one.reason) for one in failures if one.entry not in there)
    for record, values in records:
        refuse_altered(record, values, RANKED_BY)
    entries = {
        record.entry: contributions(values, RANKED_BY)
        for record, values in records
        if not record.is_other_network
    }
    from_best = _from_best(entries, records[0][1].groups)
    ranked = sorted(records, key=lambda pair: _place(pair[0]))
    others = len(records) - len(entries)
    remarks = remarks_on([record for record, _ in ranked], RANKED_BY)
    return Table(
        suite=first.suite,
        suite_fingerprint=first.suite_fingerprint,
        protocol=first.protocol,
        reference=first.reference,
        items=first.items,
        groups=first.groups,
        metrics=_sorted(first.figures),
        sigmas=tuple(level.sigma for level in first.per_sigma),
        rows=tuple(
            Row(
                entry=record.entry,
                rank=None if record.is_other_network else position - others,
                best=record.entry in from_best and is_tied(from_best[record.entry].p_value),
                from_best=from_best.get(record.entry),
                figures=record.figures,
                item_errors={one: independent_error(values, one) for one in record.figures},
                by_sigma=tuple(level.figures[RANKED_BY] for level in record.per_sigma),
                seconds_per_query=record.seconds_per_query,
                verification=verification(record, attestations.get(record.stem)),
                remarks=remarks.get(record.entry, ()),
            )
            for position, (record, values) in enumerate(ranked, start=1)
        ),
        failed=failed,
        sweeps=sweeps_among([record for record, _ in records]),
        caption=(
            *caption_of(first, _shown(_sorted(first.figures)), has_other=others > 0),
            *timing_sentences([record for record, _ in ranked]),
            *as_sentences(remarks, len(records)),
            *(f"{row.entry} failed: {row.reason}" for row in failed),
        ),
    )


def _place(record: Record) -> tuple[bool, bool, float, str]:
    """Sort key: the other network, then entries by mean, those that are not a number last."""
    mean = record.figures[RANKED_BY].mean
    return not record.is_other_network, math.isnan(mean), mean, record.entry


def _from_best(
    entries: Mapping[str, NDArray[np.float64]], groups: NDArray[np.int64] | None
) -> dict[str, Difference]:
    """Of every entry, its p-value holding for all; errors [items] by name, groups [items]."""
    known = {name: errors for name, errors in entries.items() if np.isfinite(errors).all()}
    best = min(known, key=lambda name: (known[name].mean(), name), default=None)
    p_values = tie_p_values(entries, groups)
    return {
        name: replace(paired_difference(errors, entries[best or name], groups), p_value=p)
        for (name, errors), p in zip(entries.items(), p_values.values(), strict=True)
    }


def _sorted(metrics: Iterable[str]) -> tuple[str, ...]:
    """That by which rows are ranked, then the others by name."""
    return tuple(sorted(metrics, key=lambda metric: (metric != RANKED_BY, metric)))


def _shown(metrics: Sequence[str]) -> tuple[str, ...]:
    return tuple(one for one in metrics if POOLED_IN_PLACE_OF.get(one) not in metrics)
