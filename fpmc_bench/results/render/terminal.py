"""A table as aligned text, at most 100 columns wide."""

import textwrap
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from fpmc_bench.documents.text import one_line
from fpmc_bench.results.render.cells import (
    CHECKED,
    TIMES,
    entry_text,
    folded,
    levels,
    notes,
    ranking,
)
from fpmc_bench.results.table import RANKED_BY, Table

WIDTH_COLUMNS = 100
GAP = "  "
LEAST_NAME, MOST_NAME = 16, 40
"""Columns that names have at least, and at most where others want them; longer ones are folded."""


class Column(NamedTuple):
    """Two lines of head, and cells, all of one width."""

    head: str
    unit: str
    cells: tuple[str, ...]

    @property
    def width(self) -> int:
        return len(self.head)


def render_terminal(table: Table) -> str:
    """The leaderboard, its notes, and the errors by noise level where there are any."""
    suite = one_line(table.suite)
    title = textwrap.fill(one_line(table.caption[0]), WIDTH_COLUMNS)
    beneath = "\n".join(textwrap.fill(one_line(note), WIDTH_COLUMNS) for note in notes(table))
    parts = [f"{suite}: {table.protocol}", title, _ranking(table), beneath]
    if table.sigmas:
        units = "units: the power of ten below sigma"
        parts += [f"{suite}: {RANKED_BY} by noise level sigma ({units})", *_by_level(table)]
    return "\n\n".join(parts)


def _ranking(table: Table) -> str:
    shown = ranking(table)
    rows = len(shown.ranks)
    left = [_right("rank", "", shown.ranks), _left("", shown.marks, rows)]
    right = []
    for metric, column in shown.figures.items():
        right.append(_on_the_point(metric, column.unit, column.values, rows))
        right.append(_on_the_point("± s.e.", column.unit, column.errors, rows))
    right.append(_on_the_point(TIMES, shown.seconds.unit, shown.seconds.values, rows))
    right.append(_left(CHECKED, shown.checked, rows))
    used = sum(len(GAP) + column.width for column in (*left, *right))
    return _lines(left, "entry", shown.entries, WIDTH_COLUMNS - used, right)


def _by_level(table: Table) -> list[str]:
    """Noise levels side by side; those that don't fit stand in another block below."""
    names = tuple(map(entry_text, table.rows))
    columns = [
        _on_the_point(sigma, column.unit, column.values, len(names))
        for sigma, column in levels(table)
    ]
    room = WIDTH_COLUMNS - min(max(map(len, map(one_line, names))), MOST_NAME)
    count = _blocks_needed(columns, room)
    size = -(-len(columns) // count)
    blocks = [columns[start : start + size] for start in range(0, len(columns), size)]
    return [_lines([], "sigma", names, MOST_NAME, block) for block in blocks]


def _blocks_needed(columns: Sequence[Column], room: int) -> int:
    """The least number of blocks, all of one size but the last, of which every one fits."""
    for count in range(1, len(columns)):
        size = -(-len(columns) // count)
        widths = [
            sum(len(GAP) + column.width for column in columns[start : start + size])
            for start in range(0, len(columns), size)
        ]
        if max(widths) <= room:
            return count
    return len(columns)


def _lines(
    left: Sequence[Column], head: str, names: Sequence[str], room: int, right: Sequence[Column]
) -> str:
    """Columns with the names between them, folded to `room` where they are longer."""
    width = max(room, LEAST_NAME)
    parts = [folded(name, width) for name in names]
    width = max(len(part) for name in [[head], *parts] for part in name)
    heads = [(*(column.head for column in left), head.ljust(width))]
    units = [(*(column.unit for column in left), " " * width)]
    lines = [
        GAP.join([*heads[0], *(column.head for column in right)]),
        GAP.join([*units[0], *(column.unit for column in right)]),
        GAP.join("-" * size for size in _widths(left, width, right)),
    ]
    for row, (first, *others) in enumerate(parts):
        before = [column.cells[row] for column in left]
        after = [column.cells[row] for column in right]
        lines.append(GAP.join([*before, first.ljust(width), *after]))
        indent = GAP.join(["".ljust(column.width) for column in left] + [""])
        lines += [indent + other for other in others]
    return "\n".join(line.rstrip() for line in lines if line.strip())


def _widths(left: Sequence[Column], width: int, right: Sequence[Column]) -> list[int]:
    return [*(column.width for column in left), width, *(column.width for column in right)]


def _left(head: str, cells: Iterable[str], rows: int) -> Column:
    texts = [one_line(text) for text in (head, *cells)]
    texts += [""] * (1 + rows - len(texts))
    width = max(map(len, texts))
    head, *own = (text.ljust(width) for text in texts)
    return Column(head, " " * width, tuple(own))


def _right(head: str, unit: str, cells: Sequence[str]) -> Column:
    texts = [one_line(text) for text in (head, unit, *cells)]
    width = max(map(len, texts))
    head, unit, *own = (text.rjust(width) for text in texts)
    return Column(head, unit, tuple(own))


def _on_the_point(head: str, unit: str, cells: Sequence[str], rows: int) -> Column:
    """Numbers with their decimal points below each other, at the right under the head."""
    tails = [len(cell) - len(cell.partition(".")[0]) for cell in cells]
    longest = max(tails, default=0)
    aligned = [cell + " " * (longest - tail) for cell, tail in zip(cells, tails, strict=True)]
    return _right(head, unit, [*aligned, *[""] * (rows - len(cells))])
