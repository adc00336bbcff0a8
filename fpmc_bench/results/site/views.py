"""What a page shows of a table: cells as text, with the full value by which they are sorted."""

import json
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import numpy as np

from fpmc_bench.documents.items import ItemValues
from fpmc_bench.documents.record import Record
from fpmc_bench.results.render.cells import SECONDS_DIGITS, rank_text, ranking
from fpmc_bench.results.render.numbers import significant
from fpmc_bench.results.statistics import item_means
from fpmc_bench.results.table import RANKED_BY, Row, Table

WORST = 5


@dataclass(frozen=True)
class Cell:
    """`text` with the decimals of tables, the error's, and the value in full; "" for none."""

    text: str
    error: str
    value: str


@dataclass(frozen=True)
class RowView:
    """A row of a table."""

    row: Row
    rank: str
    metrics: tuple[Cell, ...]
    seconds: Cell


@dataclass(frozen=True)
class WorstItem:
    """An item, its error, and how many times its row's mean that is."""

    number: int
    error: float
    times: float


def rows_of(table: Table) -> list[RowView]:
    """All rows that have figures, in the order of the table."""
    columns = ranking(table).figures
    return [
        RowView(
            row,
            rank_text(row),
            tuple(
                Cell(
                    column.in_ones(column.values[at]),
                    column.in_ones(column.errors[at]),
                    sort_value(row.figures[metric].mean),
                )
                for metric, column in columns.items()
            ),
            Cell(
                significant(row.seconds_per_query, SECONDS_DIGITS),
                "",
                sort_value(row.seconds_per_query),
            ),
        )
        for at, row in enumerate(table.rows)
    ]


def sort_value(value: float) -> str:
    """In full, or nothing for what is no number and stands last."""
    return repr(value) if math.isfinite(value) else ""


def worst_items(values: ItemValues, count: int = WORST) -> list[WorstItem]:
    """Those with the largest error, from [items,S] or [items] by metric; the largest first."""
    errors = item_means(values[RANKED_BY])
    mean = float(errors.mean())
    order = np.argsort(-errors, kind="stable")[:count]
    return [
        WorstItem(int(item), float(errors[item]), float(errors[item]) / mean if mean else math.nan)
        for item in order
    ]


def schedules(record: Record) -> dict[str, list[str]]:
    """Its parameters that have a value for every noise level, by name."""
    levels = len(record.provenance.sigmas)
    return {
        name: [value if isinstance(value, str) else json.dumps(value) for value in values]
        for name, values in record.provenance.params.items()
        if isinstance(values, list | tuple) and len(values) == levels
    }


def other_parameters(record: Record) -> dict[str, str]:
    """The others, as JSON."""
    known = schedules(record)
    params = record.provenance.params
    return {name: json.dumps(value) for name, value in params.items() if name not in known}


def provenance_facts(record: Record) -> list[tuple[str, str]]:
    """All that its figures depend on, a line each, but for parameters and noise levels."""
    content = record.provenance.model_dump(mode="json", exclude={"params", "sigmas", "levels"})
    return list(_flat("", content))


def _flat(prefix: str, content: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    for name, value in content.items():
        if isinstance(value, dict):
            yield from _flat(f"{prefix}{name}.", value)
        else:
            yield f"{prefix}{name}", value if isinstance(value, str) else json.dumps(value)


def link(url: str) -> str | None:
    """An address that a page may lead to: of the web, and of nothing else."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return None
    return url if parts.scheme in ("http", "https") and parts.netloc else None
