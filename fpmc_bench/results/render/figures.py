"""The figure of errors against noise levels, a line a row. Needs matplotlib."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure as Canvas
from matplotlib.ticker import StrMethodFormatter
from numpy.typing import NDArray
from scipy.optimize import isotonic_regression

from fpmc_bench.documents.text import one_line
from fpmc_bench.results.render.canvas import (
    DASHES,
    MARKS,
    Picture,
    drawn,
    plain,
    plain_log_ticks,
)
from fpmc_bench.results.render.cells import entry_text
from fpmc_bench.results.render.colours import Look, looks_of
from fpmc_bench.results.render.origin import key_of_table
from fpmc_bench.results.table import RANKED_BY, Row, Table

WIDTH_INCHES, PANEL_INCHES, LABEL_INCHES, FRAME_INCHES = 8.4, 3.3, 0.17, 1.3
BAND_ERRORS = 2
MOST_TIMES = 20
"""Rows that err by more leave the panel of ratios, where the others are to be told apart."""
LABEL_LETTERS = 36
LABELS_AT = 1.05
"""In widths of a panel; lines lead there from the ends of the curves."""


def draw_sigma_figure(table: Table, kind: Picture = "png") -> bytes:
    """Errors against sigma, and below them their ratios to the other network's.

    To the best row's where there is no other network. All axes are logarithmic, bands are ±2
    standard errors, and every line has its name at its end. Equal input, equal bytes.
    """
    ratios_inches = max(PANEL_INCHES, LABEL_INCHES * len(table.rows))

    def draw(canvas: Canvas) -> None:
        heights = [PANEL_INCHES, ratios_inches]
        errors, ratios = canvas.subplots(2, sharex=True, height_ratios=heights)
        looks = looks_of(table)
        _draw_errors(errors, table, looks)
        _draw_ratios(ratios, table, looks)
        for panel in (errors, ratios):
            panel.grid(which="major", color="0.9", linewidth=0.6)
        errors.set_xscale("log")
        errors.set_xlim(min(table.sigmas) / 1.3, max(table.sigmas) * 1.3)
        errors.xaxis.set_major_formatter(StrMethodFormatter("{x:g}"))
        ratios.set_xlabel("noise level sigma, of images in [-1, 1] (log scale)")
        _name_lines(ratios, table, looks, LABEL_INCHES / ratios_inches)
        title = f"{table.suite}, {table.protocol} against {table.reference}"
        bands = f"bands: ±{BAND_ERRORS} s.e. of a row's mean"
        canvas.suptitle(
            f"{plain(title)}\n{table.measured} a noise level, {bands}",
            fontsize="medium",
            x=0.01,
            ha="left",
        )

    size = (WIDTH_INCHES, FRAME_INCHES + PANEL_INCHES + ratios_inches)
    return drawn(size, draw, kind, key_of_table(table))


def _draw_errors(axes: Axes, table: Table, looks: Mapping[str, Look]) -> None:
    ones = np.ones(len(table.sigmas))
    for position, row in enumerate(table.rows):
        _draw_line(axes, table.sigmas, row, ones, looks[row.entry], position)
    axes.set_yscale("log", nonpositive="clip")
    axes.set_ylabel(f"{RANKED_BY}: mean squared difference,\npixels in [-1, 1] (log scale)")
    means = np.array([_means(row) for row in table.rows])
    shown = means[np.isfinite(means) & (means > 0)]
    # a band that reaches below zero must not stretch the axis
    axes.set_ylim((shown.min() / 2, shown.max() * 2) if shown.size else (0.1, 1))


def _draw_ratios(axes: Axes, table: Table, looks: Mapping[str, Look]) -> None:
    base = _base(table)
    divisors = _means(base)
    divisors[~(divisors > 0)] = np.nan
    for position, row in enumerate(table.rows):
        if row is not base:
            _draw_line(axes, table.sigmas, row, divisors, looks[row.entry], position)
    axes.axhline(1, color=looks[base.entry].colour, linestyle=DASHES["dash"], linewidth=1.2)
    axes.set_yscale("log", nonpositive="clip")
    axes.set_ylim(_ratio_limits(table, divisors))
    plain_log_ticks(axes.yaxis)
    axes.set_ylabel(
        f"ratio to the error of\n{plain(_short(base.entry))} (log scale, cut at {MOST_TIMES})"
    )


def _base(table: Table) -> Row:
    """The other network, or the best row where there is none."""
    return table.rows[0]


def _draw_line(
    axes: Axes,
    sigmas: Sequence[float],
    row: Row,
    divisors: NDArray[np.float64],
    look: Look,
    position: int,
) -> None:
    mean = _means(row) / divisors
    error = BAND_ERRORS * np.array([one.standard_error for one in row.by_sigma]) / divisors
    axes.plot(
        sigmas,
        mean,
        color=look.colour,
        linestyle=DASHES[look.dash],
        linewidth=1.4,
        marker=MARKS[look.marker],
        markersize=4,
        zorder=3 - position / 100,
    )
    axes.fill_between(sigmas, mean - error, mean + error, color=look.colour, alpha=0.13, lw=0)


def _means(row: Row) -> NDArray[np.float64]:
    return np.array([figure.mean for figure in row.by_sigma])


def _ratio_limits(table: Table, divisors: NDArray[np.float64]) -> tuple[float, float]:
    ratios = np.array([_means(row) / divisors for row in table.rows])
    shown = ratios[np.isfinite(ratios) & (ratios > 0)]
    if not shown.size:
        return 0.5, 2
    return max(shown.min() / 1.2, 1 / MOST_TIMES), min(shown.max() * 1.2, MOST_TIMES)


def _name_lines(axes: Axes, table: Table, looks: Mapping[str, Look], gap: float) -> None:
    """Names at the right, in the order of the curves' ends, as near to these as they fit."""
    divisors = _means(_base(table))
    low, high = np.log(axes.get_ylim())
    ends = []
    for row in table.rows:
        with np.errstate(divide="ignore", invalid="ignore"):
            ratio = np.log(_means(row)[0] / divisors[0])
        end = (ratio - low) / (high - low)
        ends.append(float(np.clip(end, 0, 1)) if np.isfinite(end) else 0.0)
    for row, end, place in zip(table.rows, ends, spread(ends, gap), strict=True):
        look = looks[row.entry]
        beside: dict[str, Any] = {
            "transform": axes.transAxes,
            "clip_on": False,
            "color": look.colour,
        }
        axes.plot([1, LABELS_AT - 0.02], [end, place], linewidth=0.7, **beside)
        axes.plot(
            [LABELS_AT - 0.02, LABELS_AT + 0.04],
            [place, place],
            linestyle=DASHES[look.dash],
            marker=MARKS[look.marker],
            markevery=[1],
            markersize=4,
            linewidth=1.4,
            **beside,
        )
        name = plain(_short(entry_text(row)))
        axes.text(
            LABELS_AT + 0.06,
            place,
            name if np.isfinite(_means(row)).any() else f"{name}: no numbers",
            transform=axes.transAxes,
            fontsize="small",
            va="center",
        )


def spread(ends: Sequence[float], gap: float) -> NDArray[np.float64]:
    """Places [lines] in [0, 1], at least `gap` apart: in the order of `ends`, nearest to them.

    There have to be so many.
    """
    order = np.argsort(ends, kind="stable")
    steps = gap * np.arange(len(ends))
    fitted = isotonic_regression(np.asarray(ends)[order] - steps).x
    places = np.empty(len(ends))
    places[order] = np.clip(fitted, 0, 1 - steps[-1]) + steps
    return places


def _short(name: str) -> str:
    """A name in one line, without its middle where it is long."""
    shown, half = one_line(name), LABEL_LETTERS // 2 - 1
    return shown if len(shown) <= LABEL_LETTERS else f"{shown[:half]} … {shown[-half:]}"
