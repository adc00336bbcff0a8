"""The figures of studies. Needs matplotlib."""

import textwrap
from collections.abc import Callable, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure as Canvas
from matplotlib.ticker import StrMethodFormatter

from fpmc_bench.results.render.canvas import drawn, plain, plain_log_ticks
from fpmc_bench.results.render.figures import BAND_ERRORS
from fpmc_bench.results.render.forest import (
    FRAME_INCHES,
    LEGEND,
    WIDTH_INCHES,
    forest_panel,
    lines_of,
)
from fpmc_bench.results.study_points import AugmentationPoint, FinetunePoint, base_titles
from fpmc_bench.results.table import Table

# Okabe & Ito, "Color universal design" (2008), less the yellow, which white paper swallows
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#E69F00", "#56B4E9", "#CC79A7", "#666666")
"""Of augmentations and of what is before and after; methods have theirs in `colours.py`."""
DASHES: tuple[tuple[float, tuple[float, ...]], ...] = (
    (0, ()),
    (0, (5, 1.5)),
    (0, (1, 1.2)),
    (0, (5, 1.5, 1, 1.5)),
)
MARKERS = ("o", "s", "^", "D", "v", "P", "X", "<", ">")
PANEL_INCHES = (2.7, 2.5)
TITLE_LETTERS = 30
ROUNDING = 1e-5
"""Of a base's error: by as much do other products of the same weights differ."""
LARGE_PERCENT, LINEAR_PERCENT = 200, 20
"""Panels of changes beyond the first are logarithmic from the second on."""
FEW_DECADES = 100
"""Log axes that span less are labelled with plain numbers."""
AXES_TITLES = {"q": "precisions q learned", "r": "responses r learned", "qr": "both learned"}


def draw_finetune_figure(title: str, points: Sequence[FinetunePoint]) -> bytes:
    """MSE against sigma: a column a base, a row a set of axes, bands of ±2 standard errors.

    The bands are those of the means, most of which both rows of items share; a filled marker says
    that the paired difference is told apart from zero.
    """
    bases = base_titles(points)
    axes_sets = list(dict.fromkeys(point.axes for point in points))

    def draw(canvas: Canvas) -> None:
        panels = canvas.subplots(
            len(axes_sets), len(bases), sharex=True, sharey=True, squeeze=False
        )
        for line, axes_set in zip(panels, axes_sets, strict=True):
            for panel, base in zip(line, bases, strict=True):
                own = [p for p in points if (p.base, p.axes) == (base, axes_set)]
                _band(panel, own, "base_mse", "base_mse_se", "0.45", "base", "s")
                _band(panel, own, "mse", "mse_se", COLOURS[0], "fine-tuned", "o")
                _differences(panel, own)
                panel.set_xscale("log")
                panel.set_yscale("log")
            learned = plain(AXES_TITLES.get(axes_set, axes_set))
            line[0].set_ylabel(f"{learned}\nMSE against the teacher (log)")
        for panel, name in zip(panels[0], bases.values(), strict=True):
            panel.set_title(_wrapped(plain(name)), fontsize="medium")
        for panel in panels[-1]:
            panel.set_xlabel("noise level sigma (log scale)")
        for axis, low, high in (
            (panels[0, 0].xaxis, *panels[0, 0].get_xlim()),
            (panels[0, 0].yaxis, *panels[0, 0].get_ylim()),
        ):
            if high < FEW_DECADES * low:
                plain_log_ticks(axis)
        handles, labels = panels[0, 0].get_legend_handles_labels()
        columns = min(len(bases), len(labels))
        canvas.legend(handles, labels, loc="outside lower center", ncols=columns, frameon=False)

    return _figure(title, (len(bases), len(axes_sets)), draw)


def draw_augmentation_figure(title: str, points: Sequence[AugmentationPoint]) -> bytes:
    """Change of error in percent against |A|/|D|: a panel a noise level, a line an augmentation.

    Every base has a row of panels.
    """
    sigmas, bases = sorted({point.sigma for point in points}), base_titles(points)
    names = list(dict.fromkeys(point.augmentation for point in points))

    def draw(canvas: Canvas) -> None:
        panels = canvas.subplots(len(bases), len(sigmas), sharex=True, squeeze=False)
        for line, (base, base_title) in zip(panels, bases.items(), strict=True):
            for panel, sigma in zip(line, sigmas, strict=True):
                own = [p for p in points if (p.base, p.sigma) == (base, sigma)]
                _changes(panel, own, names)
            which = f"{plain(base_title)}\n" if len(bases) > 1 else ""
            far = any(panel.get_yscale() == "symlog" for panel in line)
            scale = f"%, log beyond ±{LINEAR_PERCENT}" if far else "%"
            line[0].set_ylabel(f"{which}change of MSE ({scale})")
        for panel, sigma in zip(panels[0], sigmas, strict=True):
            panel.set_title(f"sigma {sigma:.3g}", fontsize="medium")
        for panel in panels[-1]:
            panel.set_xlabel("added images, |A| / |D| (log)")
        handles, labels = panels[0, 0].get_legend_handles_labels()
        canvas.legend(handles, labels, loc="outside lower center", ncols=6, frameon=False)

    return _figure(title, (len(sigmas), len(bases)), draw)


def _changes(panel: Axes, points: Sequence[AugmentationPoint], names: Sequence[str]) -> None:
    """One base at one noise level."""
    if max(abs(point.change_percent) for point in points) > LARGE_PERCENT:
        # both a tenth less and ten times as much are to be seen
        panel.set_yscale("symlog", linthresh=LINEAR_PERCENT, linscale=1.5)
        panel.yaxis.set_major_formatter(StrMethodFormatter("{x:g}"))
        panel.margins(y=0.1)
    for position, name in enumerate(names):
        own = [point for point in points if point.augmentation == name]
        rates = [point.rate for point in own]
        change = np.array([point.change_percent for point in own])
        error = BAND_ERRORS * np.array([point.change_percent_se for point in own])
        colour = COLOURS[position % len(COLOURS)]
        panel.plot(
            rates,
            change,
            color=colour,
            linestyle=DASHES[position // len(COLOURS) % len(DASHES)],
            marker=MARKERS[position % len(MARKERS)],
            markersize=4,
            linewidth=1.2,
            label=plain(name),
        )
        panel.fill_between(
            rates, change - error, change + error, color=colour, alpha=0.15, linewidth=0
        )
    panel.axhline(0, color="0.5", linewidth=0.8)
    panel.set_xscale("log")
    plain_log_ticks(panel.xaxis)


def draw_table_figure(title: str, tables: Sequence[Table]) -> bytes:
    """A forest of every protocol, below each other; equal input, equal bytes."""
    lines = [lines_of(table) for table in tables]
    heights = [FRAME_INCHES + one.inches for one in lines]

    def draw(canvas: Canvas) -> None:
        panels = canvas.subplots(len(tables), squeeze=False, height_ratios=heights)[:, 0]
        for panel, table, own in zip(panels, tables, lines, strict=True):
            forest_panel(panel, table, own)
            panel.set_title(
                plain(f"{table.protocol} against {table.reference}, {table.measured}"),
                fontsize="medium",
                loc="left",
            )
        canvas.suptitle(f"{plain(title)}\n{LEGEND}", fontsize="medium", x=0.01, ha="left")

    return drawn((WIDTH_INCHES, sum(heights)), draw)


def _wrapped(name: str) -> str:
    return "\n".join(textwrap.wrap(name, TITLE_LETTERS))


def _band(
    panel: Axes,
    points: Sequence[FinetunePoint],
    mean: str,
    error: str,
    colour: str,
    label: str,
    marker: str,
) -> None:
    sigmas = [point.sigma for point in points]
    middle = np.array([getattr(point, mean) for point in points])
    half = BAND_ERRORS * np.array([getattr(point, error) for point in points])
    panel.plot(
        sigmas, middle, color=colour, marker=marker, markersize=3, linewidth=1.2, label=label
    )
    low = np.maximum(middle - half, middle / 100)
    panel.fill_between(sigmas, low, middle + half, color=colour, alpha=0.2, linewidth=0)


def _differences(panel: Axes, points: Sequence[FinetunePoint]) -> None:
    """Open markers where fine-tuned and base are not told apart, item by item."""
    equal = [
        point
        for point in points
        if abs(point.difference)
        <= max(BAND_ERRORS * point.difference_se, ROUNDING * point.base_mse)
    ]
    panel.plot(
        [point.sigma for point in equal],
        [point.mse for point in equal],
        color=COLOURS[0],
        marker="o",
        markersize=4,
        markerfacecolor="white",
        linestyle="none",
        label="not told apart from the base (paired)",
    )


def _figure(title: str, panels: tuple[float, float], draw: Callable[[Canvas], None]) -> bytes:
    """A PNG of so many panels across and down; equal input, equal bytes."""
    size = (PANEL_INCHES[0] * panels[0] + 0.6, PANEL_INCHES[1] * panels[1] + 0.8)

    def draw_titled(canvas: Canvas) -> None:
        draw(canvas)
        canvas.suptitle(f"{plain(title)}, ±{BAND_ERRORS} s.e.", fontsize="medium")
        for panel in canvas.axes:
            panel.grid(which="major", color="0.92", linewidth=0.6)

    return drawn(size, draw_titled)
