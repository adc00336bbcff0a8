"""A table as aligned text, at most 100 columns wide."""

import textwrap
from collections.abc import Iterable, Sequence

from fpmc_bench.documents.text import one_line
from fpmc_bench.results.render.cells import (
    NO_RANK,
    entry_text,
    failed_text,
    metric_columns,
    rank_text,
    seconds_text,
    sigma_columns,
)
from fpmc_bench.results.table import RANKED_BY, Table

WIDTH_COLUMNS = 100
GAP = "  "

Column = list[str]
"""Header and cells, padded to one width."""


def render_terminal(table: Table) -> str:
    """The leaderboard, its caption, and the errors by noise level where there are any."""
    sentences = map(one_line, table.caption)
    caption = "\n".join(textwrap.fill(sentence, WIDTH_COLUMNS) for sentence in sentences)
    suite = one_line(table.suite)
    parts = [f"{suite}: {table.protocol}", _ranking(table), caption]
    if table.sigmas:
        parts += [f"{suite}: {RANKED_BY} by noise level", *_by_sigma(table)]
    return "\n\n".join(parts)


def _ranking(table: Table) -> str:
    rows, failed = table.rows, table.failed
    none = [""] * len(failed)
    columns = [
        _on_the_point(["rank", *map(rank_text, rows), *[NO_RANK] * len(failed)]),
        _left(["", *("*" if row.best else "" for row in rows), *none]),
        _left(["entry", *map(entry_text, rows), *map(failed_text, failed)]),
    ]
    for metric, texts in zip(table.shown, metric_columns(table), strict=True):
        columns.append(_on_the_point([metric, *(mean for mean, _ in texts), *none]))
        columns.append(_on_the_point(["± s.e.", *(error for _, error in texts), *none]))
    columns.append(_on_the_point(["s/query", *map(seconds_text, rows), *none]))
    columns.append(_left(["checked", *(row.verification for row in rows), *none]))
    return _lines(columns)


def _by_sigma(table: Table) -> list[str]:
    """Entries side by side; those that don't fit stand in another block below."""
    sigmas, *entries = map(_on_the_point, sigma_columns(table))
    blocks, used = [[sigmas]], len(sigmas[0])
    for column in entries:
        width = len(GAP) + len(column[0])
        if used + width > WIDTH_COLUMNS and len(blocks[-1]) > 1:
            blocks.append([sigmas])
            used = len(sigmas[0])
        blocks[-1].append(column)
        used += width
    return [_lines(block) for block in blocks]


def _left(column: Iterable[str]) -> Column:
    cells = list(map(one_line, column))
    width = max(map(len, cells))
    return [cell.ljust(width) for cell in cells]


def _on_the_point(column: Iterable[str]) -> Column:
    """Numbers with their decimal points below each other, at the right under the header."""
    header, *cells = map(one_line, column)
    tails = [len(cell) - len(cell.partition(".")[0]) for cell in cells]
    aligned = [cell + " " * (max(tails) - tail) for cell, tail in zip(cells, tails, strict=True)]
    width = max(map(len, [header, *aligned]))
    return [cell.rjust(width) for cell in [header, *aligned]]


def _lines(columns: Sequence[Column]) -> str:
    header, *rows = zip(*columns, strict=True)
    rule = ["-" * len(cell) for cell in header]
    return "\n".join(GAP.join(cells).rstrip() for cells in (header, rule, *rows))
