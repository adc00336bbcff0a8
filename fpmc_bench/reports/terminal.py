"""A table as aligned text, at most 100 columns wide."""

import textwrap
from collections.abc import Sequence

from tabulate import tabulate

from fpmc_bench.leaderboard import RANKED_BY, Table
from fpmc_bench.reports.cells import (
    entry_text,
    mean_and_error_text,
    rank_text,
    seconds_text,
    sigma_columns,
)

WIDTH_COLUMNS = 100
GAP_COLUMNS = 2


def render_terminal(table: Table) -> str:
    """The leaderboard, its caption, and for denoiser-mse the errors by noise level."""
    caption = "\n".join(textwrap.fill(sentence, WIDTH_COLUMNS) for sentence in table.caption)
    parts = [f"{table.suite}: {table.protocol}", _ranking(table), caption]
    if table.sigmas:
        parts += [f"{table.suite}: {RANKED_BY} by noise level", *_by_sigma(table)]
    return "\n\n".join(parts)


def _ranking(table: Table) -> str:
    headers = ["rank", "", "entry"]
    for metric in table.metrics:
        headers += [metric, "± s.e."]
    rows = []
    for row in table.rows:
        cells = [rank_text(row), "*" if row.best else "", entry_text(row)]
        for metric in table.metrics:
            cells += mean_and_error_text(row.figures[metric])
        rows.append([*cells, seconds_text(row)])
    numbers = ["decimal"] * (2 * len(table.metrics) + 1)
    return _aligned([[*headers, "s/query"], *rows], ["right", "left", "left", *numbers])


def _by_sigma(table: Table) -> list[str]:
    """Entries side by side; those that don't fit stand in another block below."""
    sigmas, *entries = sigma_columns(table)
    blocks, used = [[sigmas]], _width(sigmas)
    for column in entries:
        if used + GAP_COLUMNS + _width(column) > WIDTH_COLUMNS and len(blocks[-1]) > 1:
            blocks.append([sigmas])
            used = _width(sigmas)
        blocks[-1].append(column)
        used += GAP_COLUMNS + _width(column)
    return [_aligned(list(zip(*block, strict=True)), ["right"] * len(block)) for block in blocks]


def _width(column: Sequence[str]) -> int:
    return max(map(len, column))


def _aligned(lines: Sequence[Sequence[str]], alignment: Sequence[str]) -> str:
    """Header line and rows; cells are text already, and stay as they are."""
    return tabulate(
        lines[1:], headers=lines[0], tablefmt="simple", disable_numparse=True, colalign=alignment
    )
