"""The figure of a sweep: error against a parameter, a line for every choice of the others."""

from dataclasses import asdict

import numpy as np
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.figure import Figure as Canvas
from matplotlib.ticker import LogLocator, NullFormatter, StrMethodFormatter

from fpmc_bench.results.render.canvas import DASHES, MARKS, drawn, plain
from fpmc_bench.results.render.cells import entry_text
from fpmc_bench.results.render.colours import NETWORK, looks
from fpmc_bench.results.render.origin import key_of_table
from fpmc_bench.results.sweeps import ParameterSweep, SweptRows
from fpmc_bench.results.table import RANKED_BY, Row, Table
from fpmc_bench.storage.keys import content_key

SIZE_INCHES = (7.2, 4.6)
BARS_ERRORS = 2
WIDE = 8
"""Numbers that span more than such a factor stand on a logarithmic axis."""
MOST_TICKS = 12
LABEL_LETTERS = 48


def draw_sweep_figure(table: Table, sweep: ParameterSweep) -> bytes:
    """A PNG; bars are ±2 standard errors. Equal input, equal bytes."""
    look = looks([sweep.denoiser])[sweep.denoiser]
    several = colormaps["viridis"](np.linspace(0, 0.85, len(sweep.lines)))

    def draw(canvas: Canvas) -> None:
        axes = canvas.add_subplot()
        rows = {row.entry: row for row in table.rows}
        for line, shade in zip(sweep.lines, several, strict=True):
            colour = look.colour if len(sweep.lines) == 1 else tuple(shade)
            _draw_line(axes, line, rows, colour, MARKS[look.marker])
        for row in table.rows:
            if row.rank is None:
                _draw_other_network(axes, row)
        _name_axes(axes, table, sweep)
        if len(axes.get_legend_handles_labels()[1]) > 0:
            canvas.legend(loc="outside lower left", frameon=False, fontsize="small")

    return drawn(SIZE_INCHES, draw, key=content_key([key_of_table(table), asdict(sweep)]))


def _draw_line(
    axes: Axes,
    line: SweptRows,
    rows: dict[str, Row],
    colour: str | tuple[float, ...],
    marker: str,
) -> None:
    figures = [rows[entry].figures[RANKED_BY] for entry in line.entries]
    others = line.others
    cut = f"{others[:LABEL_LETTERS]}..." if len(others) > LABEL_LETTERS else others
    axes.errorbar(
        line.values,
        [figure.mean for figure in figures],
        yerr=[BARS_ERRORS * figure.standard_error for figure in figures],
        color=colour,
        marker=marker,
        markersize=5,
        markerfacecolor="white",
        linewidth=1.4,
        capsize=2.5,
        label=plain(cut) or None,
    )


def _draw_other_network(axes: Axes, row: Row) -> None:
    figure = row.figures[RANKED_BY]
    low, high = (figure.mean + sign * BARS_ERRORS * figure.standard_error for sign in (-1, 1))
    axes.axhspan(low, high, color=NETWORK.colour, alpha=0.15, lw=0)
    dashes = DASHES[NETWORK.dash]
    axes.axhline(
        figure.mean,
        color=NETWORK.colour,
        linestyle=dashes,
        linewidth=1.2,
        label=plain(entry_text(row)),
    )


def _name_axes(axes: Axes, table: Table, sweep: ParameterSweep) -> None:
    values = np.array([value for line in sweep.lines for value in line.values])
    wide = bool((values > 0).all()) and values.max() > WIDE * values.min()
    axes.set_yscale("log", nonpositive="clip")
    if wide:
        axes.set_xscale("log")
    if len(ticks := np.unique(values)) <= MOST_TICKS:
        axes.set_xticks(ticks)
    axes.xaxis.set_major_formatter(StrMethodFormatter("{x:g}"))
    axes.xaxis.set_minor_formatter(NullFormatter())
    axes.yaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
    axes.yaxis.set_minor_formatter(NullFormatter())
    axes.set_xlabel(plain(f"{sweep.parameter} of {sweep.denoiser}{' (log scale)' if wide else ''}"))
    axes.set_ylabel(f"{RANKED_BY}: mean squared difference,\npixels in [-1, 1] (log scale)")
    axes.grid(which="major", color="0.9", linewidth=0.6)
    axes.set_title(
        plain(f"{table.suite}, {table.protocol} against {table.reference}")
        + f"\n{table.measured}, bars and band: ±{BARS_ERRORS} s.e.",
        fontsize="medium",
        loc="left",
    )
