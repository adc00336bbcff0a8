"""The main picture of a leaderboard: a point and an interval a row, in their order. Matplotlib."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure as Canvas
from matplotlib.ticker import StrMethodFormatter
from numpy.typing import NDArray

from fpmc_bench.documents.record import Figure
from fpmc_bench.results.caption import DEFINITIONS
from fpmc_bench.results.render.canvas import MARKS, Picture, drawn, plain, plain_log_ticks
from fpmc_bench.results.render.cells import NO_RANK, entry_text, failed_text, folded, rank_text
from fpmc_bench.results.render.colours import NETWORK, looks_of
from fpmc_bench.results.render.numbers import NumberColumn, figure_column
from fpmc_bench.results.render.origin import key_of_table
from fpmc_bench.results.statistics import SIGNIFICANCE, half_width
from fpmc_bench.results.table import RANKED_BY, Table

LEGEND = (
    f"thin bars: {1 - SIGNIFICANCE:.0%} intervals, thick ones: ±1 s.e.; "
    "shaded: the best, and what is not told apart from it"
)
WIDTH_INCHES, LINE_INCHES, GAP_INCHES, FRAME_INCHES = 8.4, 0.17, 0.09, 1.9
NAME_LETTERS = 36
FEW_TIMES = 4
"""Errors that differ by less are shown on a linear axis."""
TWO_DECADES = 100
"""Log axes that span less are labelled 1, 2, 5."""
RANKS_AT, FIGURES_AT = -0.012, 1.015
"""In widths of a panel."""
SHADE = "#4a90f51f"

Interval = tuple[float, float, float]
"""(low, mean, high)"""


@dataclass(frozen=True)
class Lines:
    """The rows of a panel from top to bottom: their names, folded, and where they are."""

    names: tuple[str, ...]
    edges: NDArray[np.float64]
    """[rows + 1], in lines of text from the top."""

    @property
    def centres(self) -> NDArray[np.float64]:
        return (self.edges[1:] + self.edges[:-1]) / 2

    @property
    def inches(self) -> float:
        return float(self.edges[-1]) * LINE_INCHES


def draw_forest(table: Table, kind: Picture = "png") -> bytes:
    """`mse@1` of every row with its 95 % interval, the other network's through all of them.

    Shaded are the best row and those not told apart from it. Equal input, equal bytes.
    """
    lines = lines_of(table)

    def draw(canvas: Canvas) -> None:
        forest_panel(canvas.add_subplot(), table, lines)
        title = f"{table.suite}, {table.protocol} against {table.reference}, {table.measured}"
        canvas.suptitle(f"{plain(title)}\n{LEGEND}", fontsize="medium", x=0.01, ha="left")

    return drawn((WIDTH_INCHES, FRAME_INCHES + lines.inches), draw, kind, key_of_table(table))


def lines_of(table: Table) -> Lines:
    """The rows' names, and below them those of rows that failed."""
    names = [*map(entry_text, table.rows), *map(failed_text, table.failed)]
    parts = tuple("\n".join(map(plain, folded(name, NAME_LETTERS))) for name in names)
    heights = [1 + name.count("\n") + GAP_INCHES / LINE_INCHES for name in parts]
    return Lines(parts, np.concatenate([[0], np.cumsum(heights)]))


def forest_panel(axes: Axes, table: Table, lines: Lines) -> None:
    """Draw the rows of `table` into `axes`, their ranks on the left, their figures on the right."""
    figures = [row.figures[RANKED_BY] for row in table.rows]
    column = figure_column(figures)
    independent = table.groups or table.items
    intervals = [_interval(figure, 10.0**-column.power, independent) for figure in figures]
    limits, log = _limits(intervals)
    if log:
        axes.set_xscale("log")
        if limits[1] < TWO_DECADES * limits[0]:
            plain_log_ticks(axes.xaxis)
        else:
            axes.xaxis.set_major_formatter(StrMethodFormatter("{x:g}"))
    axes.set_xlim(limits)
    axes.set_ylim(lines.edges[-1], 0)
    _draw_network(axes, table, intervals)
    _draw_rows(axes, table, lines, intervals, limits, 10.0**-column.power)
    _label(axes, table, lines, column)
    scale = "log" if log else "linear"
    axes.set_xlabel(
        f"{column.headed(RANKED_BY)}, {scale} scale: {DEFINITIONS[RANKED_BY]}", fontsize="small"
    )
    axes.grid(which="major", axis="x", color="0.9", linewidth=0.6)


def _draw_network(axes: Axes, table: Table, intervals: Sequence[Interval]) -> None:
    for row, (low, mean, high) in zip(table.rows, intervals, strict=True):
        if row.rank is None and np.isfinite(mean):
            axes.axvline(mean, color=NETWORK.colour, linestyle=(0, (5, 2)), linewidth=1, zorder=1)
            axes.axvspan(low, high, color=NETWORK.colour, alpha=0.18, linewidth=0, zorder=0.5)


def _draw_rows(
    axes: Axes,
    table: Table,
    lines: Lines,
    intervals: Sequence[Interval],
    limits: tuple[float, float],
    scale: float,
) -> None:
    """What lies beyond the left end of the axis, as 0 does of a logarithmic one, is an arrow."""
    looks, edges = looks_of(table), lines.edges
    for position, (row, (low, mean, high)) in enumerate(zip(table.rows, intervals, strict=True)):
        centre, look = lines.centres[position], looks[row.entry]
        if row.best:
            axes.axhspan(edges[position], edges[position + 1], color=SHADE, linewidth=0, zorder=0)
        if not np.isfinite(mean):
            continue
        beyond = mean < limits[0]
        error = row.figures[RANKED_BY].standard_error * scale
        for start, end, width, alpha in (
            (low, high, 1.2, 1.0),
            (mean - error, mean + error, 4.0, 0.5),
        ):
            axes.plot(
                np.clip([start, end], *limits),
                [centre, centre],
                color=look.colour,
                linewidth=width,
                alpha=alpha,
                solid_capstyle="butt",
            )
        axes.plot(
            limits[0] if beyond else mean,
            centre,
            color=look.colour,
            marker="<" if beyond else MARKS[look.marker],
            markersize=7,
            clip_on=False,
        )


def _label(axes: Axes, table: Table, lines: Lines, column: NumberColumn) -> None:
    none = [""] * len(table.failed)
    ranks = [*map(rank_text, table.rows), *[NO_RANK] * len(table.failed)]
    pairs = zip([*column.values, *none], [*column.errors, *none], strict=True)
    figures = [" ± ".join(pair) if any(pair) else "no figures" for pair in pairs]
    axes.set_yticks(lines.centres, lines.names, fontsize="small")
    axes.tick_params(axis="y", length=0, pad=26)
    place = axes.get_yaxis_transform()
    for rank, figure, line in zip(ranks, figures, lines.centres, strict=True):
        axes.text(RANKS_AT, line, rank, transform=place, fontsize="small", va="center", ha="right")
        axes.text(FIGURES_AT, line, figure, transform=place, fontsize="small", va="center")
    axes.annotate(
        f"{column.headed(RANKED_BY)}\n± s.e.",
        (FIGURES_AT, 1),
        xycoords="axes fraction",
        xytext=(0, 4),
        textcoords="offset points",
        fontsize="small",
    )


def _interval(figure: Figure, scale: float, independent: int) -> Interval:
    """The t interval of a mean, in units of 1 / scale; the mean alone where there is no error.

    `independent`: how many items, or groups of these, its error is of.
    """
    half = half_width(figure, independent)
    return (figure.mean - half) * scale, figure.mean * scale, (figure.mean + half) * scale


def _limits(intervals: Sequence[Interval]) -> tuple[tuple[float, float], bool]:
    """Of the axis, and whether it is logarithmic."""
    known = [one for one in intervals if np.isfinite(one[1])]
    positive = [mean for _, mean, _ in known if mean > 0]
    if not positive:
        return (0.0, 1.0), False
    highest = max(high for _, _, high in known)
    if highest <= FEW_TIMES * min(mean for _, mean, _ in known):
        low = min(low for low, _, _ in known)
        margin = 0.05 * (highest - low) or 0.05 * highest
        return (low - margin, highest + margin), False
    lowest = min(positive)
    # an interval that reaches to zero must not stretch the axis
    low = min([low for low, _, _ in known if low > lowest / FEW_TIMES], default=lowest)
    return (min(low, lowest) / 1.15, highest * 1.15), True
