"""A table as GitHub-flavoured Markdown."""

from collections.abc import Sequence
from itertools import zip_longest

from tabulate import tabulate

from fpmc_bench.documents.text import one_line
from fpmc_bench.results.render.cells import CHECKED, TIMES, entry_text, levels, notes, ranking
from fpmc_bench.results.table import RANKED_BY, Table

ESCAPED = str.maketrans({character: f"\\{character}" for character in "\\`*_{}[]<>#|&$~"})
MOST_LEVELS = 10
"""Noise levels side by side, as many as a page has room for."""


def render_markdown(table: Table) -> str:
    """The leaderboard, its notes, and the errors by noise level where there are any."""
    parts = [
        f"## {_escaped(table.suite)}: {table.protocol}",
        _escaped(table.caption[0]),
        _ranking(table),
        "\n".join(f"- {_escaped(note)}" for note in notes(table)),
    ]
    if table.sigmas:
        parts += [
            f"### {RANKED_BY} by noise level sigma",
            "In units of the power of ten behind sigma.",
            *_by_level(table),
        ]
    return "\n\n".join(parts) + "\n"


def _ranking(table: Table) -> str:
    shown = ranking(table)
    heads = [f"{column.headed(metric)} ± s.e." for metric, column in shown.figures.items()]
    figures = [
        [" ± ".join(pair) for pair in zip(column.values, column.errors, strict=True)]
        for column in shown.figures.values()
    ]
    columns = [shown.ranks, shown.marks, shown.entries, *figures, shown.seconds.values]
    return _pipes(
        [
            ["rank", "", "entry", *heads, shown.seconds.headed(TIMES), CHECKED],
            *zip_longest(*columns, shown.checked, fillvalue=""),
        ],
        ["right", "left", "left", *["right"] * (len(heads) + 1), "left"],
    )


def _by_level(table: Table) -> list[str]:
    """A row an entry and a column a noise level, in as few tables of one width as there may be."""
    names, columns = [entry_text(row) for row in table.rows], levels(table)
    size = -(-len(columns) // -(-len(columns) // MOST_LEVELS))
    return [
        _pipes(
            [
                ["sigma", *(column.headed(sigma) for sigma, column in block)],
                *zip(names, *(column.values for _, column in block), strict=True),
            ],
            ["left", *["right"] * len(block)],
        )
        for block in (columns[start : start + size] for start in range(0, len(columns), size))
    ]


def _escaped(text: str) -> str:
    """One line that Markdown, HTML and formulas in it leave as it is; none becomes a link."""
    return one_line(text).translate(ESCAPED).replace("://", r":\//")


def _pipes(lines: Sequence[Sequence[str]], alignment: Sequence[str]) -> str:
    escaped = [[_escaped(cell) for cell in line] for line in lines]
    text: str = tabulate(
        escaped[1:], headers=escaped[0], tablefmt="pipe", disable_numparse=True, colalign=alignment
    )
    return text
