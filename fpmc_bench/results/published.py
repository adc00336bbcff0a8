"""One run under the definitions that others publish by: what each measures, and how ranks change.

Definitions are taken from the code of the repositories that they are named after; none has standard
errors, and none is comparable with another. They need predictions, which `run --keep-predictions`
leaves beside the records.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from fpmc_bench.documents.items import ItemValues
from fpmc_bench.documents.protocols import PROTOCOLS
from fpmc_bench.documents.record import Record
from fpmc_bench.errors import RunError
from fpmc_bench.results.checks import (
    refuse_altered,
    refuse_of_different_rows,
    refuse_of_different_suites,
)
from fpmc_bench.results.predictions import chunks, read_predictions, read_reference
from fpmc_bench.results.statistics import item_means
from fpmc_bench.results.table import RANKED_BY

Values = NDArray[np.float64]


@dataclass(frozen=True)
class Definition:
    """One figure of a row: `of_item` of its predictions and references, summed up over items."""

    name: str
    source: str
    """Whose code has it."""
    meaning: str
    of_item: Callable[[Values, Values], Values]
    """(prediction, reference), [...,D] each -> [...]."""
    over_items: Callable[[Values], np.floating]
    more_is_better: bool


def _squared(prediction: Values, reference: Values) -> Values:
    found: Values = np.square(prediction - reference).mean(-1)
    return found


def _r2(prediction: Values, reference: Values) -> Values:
    """1 - mean_d (D - T)^2 / variance of T with divisor D - 1, of which none counts as 1."""
    variance = reference.var(-1, ddof=1)
    return 1 - _squared(prediction, reference) / np.where(variance == 0, 1, variance)


def _unit(images: Values) -> Values:
    """Values of [-1, 1] in [0, 1], others clamped."""
    return (np.clip(images, -1, 1) + 1) / 2


def _correlation(prediction: Values, reference: Values) -> Values:
    """Pearson's, of all values of an image; NaN where either is flat."""
    a, b = (one - one.mean(-1, keepdims=True) for one in (prediction, reference))
    with np.errstate(invalid="ignore", divide="ignore"):
        found: Values = (a * b).sum(-1) / np.sqrt(np.square(a).sum(-1) * np.square(b).sum(-1))
    return found


_LOCALITY = "ottogin/locality-in-diffusion-models, analytic-diffusion/analytic-diffusion-studio"
_GOLDDIFF = "shangxinyi/GoldDiff"
_ELS = "Kambm/convolutional_diffusion"
_R2 = "1 - MSE / variance of the reference with divisor D - 1 (1 where it is flat)"
DEFINITIONS = (
    Definition("MSE", _LOCALITY, "MSE on [-1, 1], as mse@1", _squared, np.mean, False),
    Definition("r2", _LOCALITY, f"{_R2}, mean over items", _r2, np.mean, True),
    Definition(
        "MSE 0-1",
        _GOLDDIFF,
        "MSE of images clamped and moved to [0, 1]",
        lambda a, b: _squared(_unit(a), _unit(b)),
        np.mean,
        False,
    ),
    Definition(
        "r2 0-1",
        _GOLDDIFF,
        "r2 as before, of images clamped and moved to [0, 1]",
        lambda a, b: _r2(_unit(a), _unit(b)),
        np.mean,
        True,
    ),
    Definition(
        "Pearson",
        _ELS,
        "Pearson's correlation, not squared, median over items",
        _correlation,
        np.median,
        True,
    ),
)


@dataclass(frozen=True)
class PublishedRow:
    """A row, by `mse@1` ranked first to last; the other network has no ranks (None)."""

    label: str
    rank: int | None
    figures: tuple[float, ...]
    """One a definition, in order."""
    ranks: tuple[int | None, ...]


@dataclass(frozen=True)
class PublishedTable:
    """One protocol's rows under every definition, in the order of our own ranks."""

    suite: str
    protocol: str
    definitions: tuple[Definition, ...]
    rows: tuple[PublishedRow, ...]
    caption: tuple[str, ...]


@dataclass(frozen=True)
class KeptRow:
    """A record with its per-item values, and the run directory where its predictions lie."""

    record: Record
    values: ItemValues
    run_dir: Path


def published_tables(
    rows: Mapping[str, tuple[Path, Mapping[str, tuple[Record, ItemValues]]]],
    protocol: str | None = None,
) -> tuple[PublishedTable, ...]:
    """A table a protocol, or of one alone: rows as `results.sides.rows_named` gives them.

    RunError as `published_table`, and where no row has a record under the protocol.
    """
    asked = PROTOCOLS if protocol is None else (protocol,)
    by_protocol = {
        one: {
            label: KeptRow(*records[one], run_dir)
            for label, (run_dir, records) in rows.items()
            if one in records
        }
        for one in asked
    }
    if not any(by_protocol.values()):
        raise RunError(f"there are no rows under {protocol or 'any protocol'}")
    return tuple(published_table(found) for found in by_protocol.values() if found)


def published_table(rows: Mapping[str, KeptRow]) -> PublishedTable:
    """Rows of one protocol and suite by what they are to be called, the other network among them.

    RunError where predictions were not kept, or are not those of the records, and where records
    were altered or can't stand in one table.
    """
    if not rows:
        raise RunError("there are no rows to compare")
    refuse_of_different_suites([row.record for row in rows.values()])
    refuse_of_different_rows(
        [
            (row.record.model_copy(update={"entry": label}), row.values)
            for label, row in rows.items()
        ]
    )
    for row in rows.values():
        refuse_altered(row.record, row.values, RANKED_BY)
    figures = {label: _figures(row) for label, row in rows.items()}
    own = {label: float(item_means(row.values[RANKED_BY]).mean()) for label, row in rows.items()}
    ranked = [label for label, row in rows.items() if not row.record.is_other_network]
    ranks = _ranks({label: own[label] for label in ranked}, more_is_better=False)
    theirs = [
        _ranks({label: figures[label][column] for label in ranked}, one.more_is_better)
        for column, one in enumerate(DEFINITIONS)
    ]
    ordered = sorted(rows, key=lambda label: (ranks.get(label, 0), label))
    first = rows[ordered[0]].record
    return PublishedTable(
        first.suite,
        first.protocol,
        DEFINITIONS,
        tuple(
            PublishedRow(
                label,
                ranks.get(label),
                figures[label],
                tuple(one.get(label) for one in theirs),
            )
            for label in ordered
        ),
        _caption(first, ranks, theirs),
    )


def _figures(row: KeptRow) -> tuple[float, ...]:
    """Of every definition; an item's value is its mean over noise levels."""
    predictions = read_predictions(row.run_dir, row.record, row.values)
    reference = read_reference(row.run_dir, row.record)
    items: list[list[Values]] = [[] for _ in DEFINITIONS]
    for start, stop in chunks(len(predictions)):
        pair = [
            one[start:stop].reshape(stop - start, *row.record.shape[1:], -1).astype(np.float64)
            for one in (predictions, reference)
        ]
        for values, definition in zip(items, DEFINITIONS, strict=True):
            values.append(item_means(definition.of_item(pair[0], pair[1])))
    return tuple(
        float(definition.over_items(np.concatenate(values)))
        for values, definition in zip(items, DEFINITIONS, strict=True)
    )


def _ranks(figures: Mapping[str, float], more_is_better: bool) -> dict[str, int]:
    """1 for the best, equal figures alike; those that are not a number last."""
    sign = -1 if more_is_better else 1
    keys = {
        label: (math.isnan(value), 0 if math.isnan(value) else sign * value)
        for label, value in figures.items()
    }
    return {label: 1 + sum(other < key for other in keys.values()) for label, key in keys.items()}


def _caption(
    record: Record, ranks: Mapping[str, int], theirs: Sequence[Mapping[str, int]]
) -> tuple[str, ...]:
    moved = [sum(ranks[label] != one[label] for label in ranks) for one in theirs]
    return (
        f"Suite {record.suite}, {record.protocol} against {record.reference}: {record.items} items "
        f"under the definitions of others, rows in the order of {RANKED_BY}; # is the rank by the "
        f"figure before it, ↑ and ↓ by how many places that is another."
        + (" An item's value is its mean over noise levels." if record.facts.by_sigma else ""),
        *(f"{one.name}: {one.meaning} ({one.source})." for one in DEFINITIONS),
        "Entries with another rank than by mse@1: "
        + ", ".join(
            f"{count} of {len(ranks)} by {one.name}"
            for count, one in zip(moved, DEFINITIONS, strict=True)
        )
        + ".",
        "plai-group/pspc publishes no figure of its own. None of these says how certain it is.",
    )
