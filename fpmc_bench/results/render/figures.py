"""The figure of errors against noise levels, a line an entry. Needs matplotlib."""

from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure as Canvas

from fpmc_bench.results.render.canvas import Picture, drawn, plain
from fpmc_bench.results.render.cells import entry_text
from fpmc_bench.results.render.origin import key_of_table
from fpmc_bench.results.table import Row, Table

# Okabe & Ito, "Color universal design" (2008), less the yellow, which white paper swallows
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#E69F00", "#56B4E9", "#CC79A7", "#666666")
DASHES: tuple[tuple[float, tuple[float, ...]], ...] = (
    (0, ()),
    (0, (5, 1.5)),
    (0, (1, 1.2)),
    (0, (5, 1.5, 1, 1.5)),
)
MARKERS = ("o", "s", "^", "D", "v", "P", "X", "<", ">")
SIZE_INCHES = (8.4, 4.8)
BAND_ERRORS = 2


@dataclass(frozen=True)
class LineStyle:
    """How a line is told from the others, in colour and without."""

    colour: str
    dashes: tuple[float, tuple[float, ...]]
    marker: str


def draw_sigma_figure(table: Table, kind: Picture = "png") -> bytes:
    """MSE against sigma, both logarithmic, with bands of ±2 standard errors; the same bytes always.

    The entries come in the order of the leaderboard, the other network in dashed black.
    """

    def draw(canvas: Canvas) -> None:
        axes = canvas.add_subplot()
        _draw_lines(axes, table)
        _label(axes, table)
        canvas.legend(loc="outside right upper", frameon=False, handlelength=3.2)

    return drawn(SIZE_INCHES, draw, kind, key_of_table(table))


def _draw_lines(axes: Axes, table: Table) -> None:
    entries = [row for row in table.rows if row.rank is not None]
    for position, row in enumerate(entries):
        _draw_line(axes, table.sigmas, row, _look(position), zorder=position)
    for row in table.rows:
        if row.rank is None:
            _draw_line(axes, table.sigmas, row, LineStyle("black", (0, (6, 3)), ""), zorder=-1)


def _draw_line(
    axes: Axes, sigmas: tuple[float, ...], row: Row, look: LineStyle, zorder: float
) -> None:
    mean = np.array([figure.mean for figure in row.by_sigma])
    error = BAND_ERRORS * np.array([figure.standard_error for figure in row.by_sigma])
    axes.plot(
        sigmas,
        mean,
        label=plain(entry_text(row)),
        color=look.colour,
        linestyle=look.dashes,
        linewidth=1.4,
        marker=look.marker,
        markersize=4.5,
        markerfacecolor="white",
        zorder=3 + zorder,
    )
    axes.fill_between(sigmas, mean - error, mean + error, color=look.colour, alpha=0.15, lw=0)


def _label(axes: Axes, table: Table) -> None:
    axes.set_xscale("log")
    axes.set_yscale("log", nonpositive="clip")
    axes.set_xlabel("noise level sigma (pixel units, images in [-1, 1])")
    axes.set_ylabel(plain(f"{table.protocol} against {table.reference}"))
    axes.set_title(
        plain(f"{table.suite}: {table.items} items a noise level, bands ±{BAND_ERRORS} s.e."),
        fontsize="medium",
        loc="left",
    )
    axes.grid(which="major", color="0.9", linewidth=0.6)
    means = np.array([figure.mean for row in table.rows for figure in row.by_sigma])
    drawn = means[np.isfinite(means) & (means > 0)]
    axes.set_xlim(min(table.sigmas) / 1.6, max(table.sigmas) * 1.6)
    # a band that reaches below zero must not stretch the axis
    axes.set_ylim((drawn.min() / 2, drawn.max() * 2) if drawn.size else (0.1, 1))


def _look(position: int) -> LineStyle:
    """Colours repeat after 7, dashes after 4, markers after 9: no pair of 252 lines is alike."""
    return LineStyle(
        COLOURS[position % len(COLOURS)],
        DASHES[position % len(DASHES)],
        MARKERS[position % len(MARKERS)],
    )
