"""Records that are to stand in one table: of one suite, each once, with the figures they state.

Every figure is computed anew from the per-item values, and a record that says otherwise is refused.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise
from operator import attrgetter
from typing import Any

import numpy as np

from fpmc_bench.documents.items import ItemValues
from fpmc_bench.documents.record import Figure, Record
from fpmc_bench.errors import RunError
from fpmc_bench.results.summaries import ERRORS_OF, figure_of

REFERENCES_ALIKE = 1e-3
"""Of the mean variance: by how much a reference's may differ between rows."""

# the most telling first: another item count also changes the suite's fingerprint
SHARED: dict[str, Callable[[Record], Any]] = {
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
SHARED_BY_PROTOCOL: dict[str, Callable[[Record], Any]] = {
    "metric versions": lambda record: sorted(record.figures),
    "reference": attrgetter("reference"),
    "levels": attrgetter("provenance.levels"),
}


def refuse_of_different_suites(records: Sequence[Record]) -> None:
    """RunError, naming two files and the field, unless all were measured on the same."""
    _refuse_mixed(records, SHARED)


def refuse_of_different_rows(records: Sequence[tuple[Record, ItemValues]]) -> None:
    """The same of one protocol's records; RunError, too, where an entry stands twice."""
    _refuse_mixed([record for record, _ in records], SHARED_BY_PROTOCOL)
    _refuse_twice([record for record, _ in records])
    for (a, first), (b, second) in pairwise(records):
        if difference := _unlike_items(first, second):
            raise _mixed(a, b, difference)


def different_items(a: tuple[Record, ItemValues], b: tuple[Record, ItemValues]) -> str | None:
    """Why two records of one protocol can't be compared item by item; None where they can."""
    for name, value in {**SHARED, **SHARED_BY_PROTOCOL}.items():
        if name != "metric versions" and value(a[0]) != value(b[0]):
            return f"their {name} differ, {value(a[0])} and {value(b[0])}"
    return _unlike_items(a[1], b[1])


def _unlike_items(a: ItemValues, b: ItemValues) -> str | None:
    """What differs in the items that two rows of one table share; None: nothing."""
    if not a.is_grouped_by(b.groups):
        return "the groups of their items differ"
    for metric in ERRORS_OF:
        if metric in a and metric in b and a[metric].shape == b[metric].shape:
            # of the reference alone, which other machines compute a little differently
            far = np.abs(a[metric] - b[metric]) > REFERENCES_ALIKE * np.abs(a[metric]).mean()
            if far.any():
                first = int(far.reshape(len(far), -1).any(axis=1).argmax())
                return (
                    f"the variances of their references differ in {int(far.sum())} of {far.size} "
                    f"values of {metric}, of item {first} first"
                )
    return None


def _refuse_mixed(records: Sequence[Record], fields: Mapping[str, Callable[[Record], Any]]) -> None:
    for name, value in fields.items():
        for a, b in pairwise(records):
            if value(a) != value(b):
                raise _mixed(a, b, f"their {name} differ, {value(a)} and {value(b)}")


def _mixed(a: Record, b: Record, difference: str) -> RunError:
    return RunError(
        f"{a.stem}.json and {b.stem}.json can't stand on one leaderboard: {difference}; keep the "
        f"records of one suite, on one set of data and teachers, in a folder"
    )


def _refuse_twice(records: Sequence[Record]) -> None:
    stems = [record.stem for record in records]
    for stem in stems:
        if stems.count(stem) > 1:
            raise RunError(f"two records are {stem}; remove the file that is not {stem}.json")


def refuse_altered(record: Record, values: ItemValues, ranked_by: str) -> None:
    """RunError unless the record's figures are those of its per-item values.

    `ranked_by`: the metric that has to be among them; values are [items,S] or [items], by metric.
    """
    if ranked_by not in record.figures or set(values) != set(record.figures):
        raise RunError(
            f"{record.stem}.json has figures of {sorted(record.figures)} and per-item values of "
            f"{sorted(values)}; both need {ranked_by} and the same others"
        )
    if record.groups != values.group_count:
        raise RunError(
            f"{record.stem}.json: its items are of {record.groups or 'no'} groups, and those in "
            f"{record.stem}.npz of {values.group_count or 'none'}"
        )
    if record.facts.by_sigma and tuple(level.sigma for level in record.per_sigma) != record.sigmas:
        raise RunError(f"{record.stem}.json: per_sigma does not list the noise levels in sigmas")
    for metric, array in values.items():
        if array.shape != record.shape:
            raise RunError(
                f"{record.stem}.npz: {metric} has shape {array.shape}, expected {record.shape}"
            )
    for metric in values:
        where = f"{record.stem}.json: {metric}"
        _compare(where, record.figures[metric], figure_of(values, metric))
        for level, known in enumerate(record.per_sigma):
            at = f"{where} at sigma {known.sigma:g}"
            _compare(at, known.figures.get(metric), figure_of(values, metric, level))


def _compare(where: str, stated: Figure | None, computed: Figure) -> None:
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
            f"another version; bring back what was published, or run this row again"
        )


def _agree(stated: float, computed: float, rounding: float) -> bool:
    if math.isnan(computed):
        return math.isnan(stated)
    return math.isclose(stated, computed, rel_tol=1e-9, abs_tol=rounding)
