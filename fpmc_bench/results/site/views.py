"""What a page shows of a table: cells as text, with the full value by which they are sorted."""

import json
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from fpmc_bench.documents.record import Record
from fpmc_bench.results.render.cells import TIMES, rank_text, ranking
from fpmc_bench.results.render.numbers import NumberColumn
from fpmc_bench.results.table import Row, Table


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


def heads_of(table: Table) -> list[str]:
    """Above the numbers of a table: its metrics and the time of a query, with their units."""
    shown = ranking(table)
    named = [*shown.figures.items(), (TIMES, shown.seconds)]
    return [column.headed(name) for name, column in named]


def rows_of(table: Table, *, in_ones: bool = False) -> list[RowView]:
    """All rows that have figures, in the order of the table; in units of `heads_of`, or of one."""
    shown = ranking(table)
    return [
        RowView(
            row,
            rank_text(row),
            tuple(
                _cell(column, at, row.figures[metric].mean, in_ones=in_ones)
                for metric, column in shown.figures.items()
            ),
            _cell(shown.seconds, at, row.seconds_per_query, in_ones=in_ones),
        )
        for at, row in enumerate(table.rows)
    ]


def _cell(column: NumberColumn, at: int, value: float, *, in_ones: bool) -> Cell:
    texts = [column.values[at], column.errors[at] if column.errors else ""]
    mean, error = [column.in_ones(text) if in_ones and text else text for text in texts]
    return Cell(mean, error, sort_value(value))


def sort_value(value: float) -> str:
    """In full, or nothing for what is no number and stands last."""
    return repr(value) if math.isfinite(value) else ""


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
