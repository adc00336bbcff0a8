"""Leaderboard: records -> one neutral table per protocol, for the renderers in `render`.

Every figure is computed anew from the per-item values, and a record that says otherwise is refused.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from operator import attrgetter
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fpmc_bench.documents.failure import Failure
from fpmc_bench.documents.protocols import PROTOCOLS
from fpmc_bench.documents.record import Figure, ItemValues, Record
from fpmc_bench.errors import RunError
from fpmc_bench.results.remarks import as_sentences, remarks_on
from fpmc_bench.results.statistics import SIGNIFICANCE, item_means, mean_and_error, tied_with_best

RANKED_BY = "mse@1"
DEFINITIONS = {
    "mse@1": "mean squared difference of raw pixel values in [-1, 1], nothing clamped",
    "r2@1": "1 - squared error / squared deviation of the reference from its own mean",
}


@dataclass(frozen=True)
class Row:
    """One entry, or the ceiling (the other teacher network), which has no rank."""

    entry: str
    rank: int | None
    best: bool
    """The best entry, or one that can't be told from it."""
    figures: Mapping[str, Figure]
    by_sigma: tuple[Figure, ...]
    """mse@1 at every noise level of the table; empty where the protocol has none of its own."""
    seconds_per_query: float
    remarks: tuple[str, ...]
    """What a reader of its figures should know, a sentence each."""


@dataclass(frozen=True)
class FailedRow:
    """An entry that was asked for and has no figures, and the reason in a line."""

    entry: str
    reason: str


@dataclass(frozen=True)
class Table:
    """One protocol's leaderboard: the ceiling's row, then the entries by `mse@1`."""

    suite: str
    suite_fingerprint: str
    protocol: str
    reference: str
    items: int
    metrics: tuple[str, ...]
    sigmas: tuple[float, ...]
    """The noise levels of `by_sigma`."""
    rows: tuple[Row, ...]
    failed: tuple[FailedRow, ...]
    """Shown last."""
    caption: tuple[str, ...]
    """Sentences: what was measured, against what, how ± was computed, the rows' remarks, and why
    rows failed."""


# the most telling first: another item count also changes the suite's fingerprint
_SHARED: dict[str, Callable[[Record], Any]] = {
    field: attrgetter(field)
    for field in (
        "items",
        "provenance.seed",
        "provenance.sigmas",
        "provenance.test",
        "provenance.source.images",
        "provenance.teachers.tuning",
        "provenance.teachers.evaluation",
        "suite_fingerprint",
    )
}
_SHARED_BY_PROTOCOL: dict[str, Callable[[Record], Any]] = {
    "metric versions": lambda record: sorted(record.figures),
    "reference": attrgetter("reference"),
    "levels": attrgetter("provenance.levels"),
}


def build_tables(
    records: Sequence[tuple[Record, ItemValues]], failures: Sequence[Failure] = ()
) -> tuple[Table, ...]:
    """One table per protocol that has records, in the order of `PROTOCOLS`.

    `failures` are rows without records, which stand last in their table.

    Each record comes with its per-item values, [items,S] or [items] as `ItemValues` says.
    RunError where records of different suites, items, datasets, teachers or metric versions are
    mixed (naming two files and the field), where an entry stands twice, or where a record's
    figures are not those of its per-item values.
    """
    _refuse_mixed([record for record, _ in records], _SHARED)
    tables = []
    for protocol in PROTOCOLS:
        mine = [(record, values) for record, values in records if record.protocol == protocol]
        if mine:
            _refuse_mixed([record for record, _ in mine], _SHARED_BY_PROTOCOL)
            _refuse_twice([record for record, _ in mine])
            failed = [one for one in failures if one.protocol == protocol]
            tables.append(_table(mine, failed))
    return tuple(tables)


def _table(records: Sequence[tuple[Record, ItemValues]], failures: Sequence[Failure]) -> Table:
    first = records[0][0]
    there = {record.entry for record, _ in records}
    failed = tuple(FailedRow(one.entry, one.reason) for one in failures if one.entry not in there)
    for record, values in records:
        _verify(record, values)
    entries = {
        record.entry: item_means(values[RANKED_BY])
        for record, values in records
        if not record.is_ceiling
    }
    best = tied_with_best(entries)
    ranked = sorted(records, key=lambda pair: _place(pair[0]))
    ceilings = len(records) - len(entries)
    remarks = remarks_on([record for record, _ in ranked], RANKED_BY)
    return Table(
        suite=first.suite,
        suite_fingerprint=first.suite_fingerprint,
        protocol=first.protocol,
        reference=first.reference,
        items=first.items,
        metrics=tuple(sorted(first.figures, key=lambda metric: (metric != RANKED_BY, metric))),
        sigmas=tuple(level.sigma for level in first.per_sigma),
        rows=tuple(
            Row(
                entry=record.entry,
                rank=None if record.is_ceiling else position - ceilings,
                best=record.entry in best and not record.is_ceiling,
                figures=record.figures,
                by_sigma=tuple(level.figures[RANKED_BY] for level in record.per_sigma),
                seconds_per_query=record.seconds_per_query,
                remarks=remarks.get(record.entry, ()),
            )
            for position, (record, _) in enumerate(ranked, start=1)
        ),
        failed=failed,
        caption=(
            *_caption(first, has_ceiling=ceilings > 0),
            *as_sentences(remarks, len(records)),
            *(f"{row.entry} failed: {row.reason}" for row in failed),
        ),
    )


def _place(record: Record) -> tuple[bool, bool, float, str]:
    """Sort key: the ceiling, then entries by mean, those that are not a number last."""
    mean = record.figures[RANKED_BY].mean
    return not record.is_ceiling, math.isnan(mean), mean, record.entry


def _caption(record: Record, *, has_ceiling: bool) -> tuple[str, ...]:
    by_sigma = record.facts.by_sigma
    levels = f"{len(record.sigmas)} noise levels from {max(record.sigmas):g} to "
    levels += f"{min(record.sigmas):g}"
    sentences = [
        f"Suite {record.suite} ({record.suite_fingerprint[:12]}), {record.protocol} against "
        f"{record.reference}: {record.items} items, {levels}, seed {record.provenance.seed}.",
        *(
            f"{metric}: {DEFINITIONS[metric]}."
            for metric in DEFINITIONS
            if metric in record.figures
        ),
        f"± is the standard error s/sqrt(n) of the mean over n = {record.items} items"
        + (", an item's value being its mean over noise levels." if by_sigma else "."),
        f"* marks the best entry and those not distinguishable from it: paired t-test of "
        f"{RANKED_BY} item by item, Holm-corrected, significance {SIGNIFICANCE:g}.",
    ]
    if has_ceiling:
        sentences.append("The ceiling is the other teacher network; it is not ranked.")
    return tuple(sentences)


def _refuse_mixed(records: Sequence[Record], fields: Mapping[str, Callable[[Record], Any]]) -> None:
    for name, value in fields.items():
        for a, b in pairwise(records):
            if value(a) != value(b):
                raise RunError(
                    f"{a.stem}.json and {b.stem}.json can't stand on one leaderboard: "
                    f"their {name} differ, {value(a)} and {value(b)}; "
                    f"keep the records of one suite, on one set of data and teachers, in a folder"
                )


def _refuse_twice(records: Sequence[Record]) -> None:
    stems = [record.stem for record in records]
    for stem in stems:
        if stems.count(stem) > 1:
            raise RunError(f"two records are {stem}; remove the file that is not {stem}.json")


def _verify(record: Record, values: ItemValues) -> None:
    """RunError unless the record's figures are those of its per-item values."""
    if RANKED_BY not in record.figures or set(values) != set(record.figures):
        raise RunError(
            f"{record.stem}.json has figures of {sorted(record.figures)} and per-item values of "
            f"{sorted(values)}; both need {RANKED_BY} and the same others"
        )
    if record.facts.by_sigma and tuple(level.sigma for level in record.per_sigma) != record.sigmas:
        raise RunError(f"{record.stem}.json: per_sigma does not list the noise levels in sigmas")
    for metric, array in values.items():
        if array.shape != record.shape:
            raise RunError(
                f"{record.stem}.npz: {metric} has shape {array.shape}, expected {record.shape}"
            )
        _compare(f"{record.stem}.json: {metric}", record.figures[metric], item_means(array))
        for level, known in enumerate(record.per_sigma):
            where = f"{record.stem}.json: {metric} at sigma {known.sigma:g}"
            _compare(where, known.figures.get(metric), array[:, level])


def _compare(where: str, stated: Figure | None, values: NDArray[np.float64]) -> None:
    computed = mean_and_error(values)
    rounding = 1e-12 * abs(computed.mean)  # of a standard error that should be 0
    if stated is None or not (
        stated.n == computed.n
        and _agree(stated.mean, computed.mean, rounding)
        and _agree(stated.standard_error, computed.standard_error, rounding)
    ):
        said = (
            f"{stated.mean:g} ± {stated.standard_error:g} over {stated.n}" if stated else "nothing"
        )
        raise RunError(
            f"{where} is stated as {said}, but the per-item values give {computed.mean:g} ± "
            f"{computed.standard_error:g} over {computed.n}: the record was altered, or made by "
            f"another version"
        )


def _agree(stated: float, computed: float, rounding: float) -> bool:
    if math.isnan(computed):
        return math.isnan(stated)
    return math.isclose(stated, computed, rel_tol=1e-9, abs_tol=rounding)
