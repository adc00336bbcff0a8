"""What the cells of a table say, shared by the renderers for people."""

import textwrap
from collections.abc import Mapping
from dataclasses import dataclass

from fpmc_bench.documents.text import one_line
from fpmc_bench.results.render.numbers import NumberColumn, figure_column, number_column
from fpmc_bench.results.table import FailedRow, Row, Table

NO_RANK = "—"
OTHER = "(other network)"
TIMES = "s/query"
CHECKED = "checked"
LEVEL_DIGITS = 3
SECONDS_DIGITS = 2


@dataclass(frozen=True)
class Ranking:
    """The columns of a leaderboard, a cell a row; those of rows that failed come last.

    These have no cells in `figures`, `seconds` and `checked`.
    """

    ranks: tuple[str, ...]
    marks: tuple[str, ...]
    entries: tuple[str, ...]
    figures: Mapping[str, NumberColumn]
    """By metric."""
    seconds: NumberColumn
    checked: tuple[str, ...]


def ranking(table: Table) -> Ranking:
    """The leaderboard of a table, its numbers in units that its notes explain."""
    rows, failed = table.rows, table.failed
    return Ranking(
        ranks=(*map(rank_text, rows), *[NO_RANK] * len(failed)),
        marks=(*("*" if row.best else "" for row in rows), *[""] * len(failed)),
        entries=(*map(entry_text, rows), *map(failed_text, failed)),
        figures={
            metric: figure_column([row.figures[metric] for row in rows]) for metric in table.shown
        },
        seconds=number_column([row.seconds_per_query for row in rows], SECONDS_DIGITS, min, 1.0),
        checked=tuple(row.verification for row in rows),
    )


def levels(table: Table) -> list[tuple[str, NumberColumn]]:
    """Errors by noise level: of each its sigma, and the mean errors of all rows in a column."""
    return [
        (f"{sigma:.3g}", number_column([row.by_sigma[at].mean for row in table.rows], LEVEL_DIGITS))
        for at, sigma in enumerate(table.sigmas)
    ]


def notes(table: Table) -> tuple[str, ...]:
    """What stands beneath a table: its caption but for what it is of, and what its units mean."""
    shown = ranking(table)
    units = (
        f"Figures are in units of the power of ten in the head of their column: {column.values[0]} "
        f"under {name} is {column.in_ones(column.values[0])}."
        for name, column in {**shown.figures, TIMES: shown.seconds}.items()
        if column.power and column.values
    )
    return (*list(units)[:1], *table.caption[1:])


def rank_text(row: Row) -> str:
    """The rank; a dash for the other network, which has none."""
    return NO_RANK if row.rank is None else str(row.rank)


def entry_text(row: Row) -> str:
    """The entry's name, with a word beside that of the other network."""
    return f"{row.entry} {OTHER}" if row.rank is None else row.entry


def folded(name: str, letters: int) -> list[str]:
    """A name in lines of at most so many letters; what it is in brackets stays in one."""
    kept = one_line(name).replace(OTHER, OTHER.replace(" ", "\xa0"))
    return [line.replace("\xa0", " ") for line in textwrap.wrap(kept, letters)] or [""]


def failed_text(row: FailedRow) -> str:
    """The name of an entry without figures, with a word beside it."""
    return f"{row.entry} (failed)"
