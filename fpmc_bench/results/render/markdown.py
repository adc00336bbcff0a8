"""A table as GitHub-flavoured Markdown."""

from collections.abc import Sequence

from tabulate import tabulate

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

ESCAPED = str.maketrans({character: f"\\{character}" for character in "\\`*_{}[]<>#|&$~"})


def render_markdown(table: Table) -> str:
    """The leaderboard, its caption, and the errors by noise level where there are any."""
    headers = ["rank", "", "entry", *(f"{metric} ± s.e." for metric in table.shown), "s/query"]
    headers.append("checked")
    rows = [
        [
            rank_text(row),
            "*" if row.best else "",
            entry_text(row),
            *map(" ± ".join, figures),
            seconds_text(row),
            row.verification,
        ]
        for row, *figures in zip(table.rows, *metric_columns(table), strict=True)
    ]
    rows += [
        [NO_RANK, "", failed_text(row), *[""] * (len(table.shown) + 2)] for row in table.failed
    ]
    numbers = ["right"] * (len(table.shown) + 1)
    caption = "\n".join(f"- {_escaped(sentence)}" for sentence in table.caption)
    parts = [
        f"## {_escaped(table.suite)}: {table.protocol}",
        _pipes([headers, *rows], ["right", "left", "left", *numbers, "left"]),
        caption,
    ]
    if table.sigmas:
        columns = sigma_columns(table)
        by_sigma = _pipes(list(zip(*columns, strict=True)), ["right"] * len(columns))
        parts += [f"### {RANKED_BY} by noise level", by_sigma]
    return "\n\n".join(parts) + "\n"


def _escaped(text: str) -> str:
    """One line that Markdown, HTML and formulas in it leave as it is; none becomes a link."""
    return one_line(text).translate(ESCAPED).replace("://", r":\//")


def _pipes(lines: Sequence[Sequence[str]], alignment: Sequence[str]) -> str:
    escaped = [[_escaped(cell) for cell in line] for line in lines]
    text: str = tabulate(
        escaped[1:], headers=escaped[0], tablefmt="pipe", disable_numparse=True, colalign=alignment
    )
    return text
