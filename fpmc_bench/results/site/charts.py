"""The charts of a table: intervals, curves, curves beside the other network's, cost."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

from fpmc_bench.documents.items import ItemValues
from fpmc_bench.documents.record import Figure
from fpmc_bench.results.render.cells import entry_text
from fpmc_bench.results.render.colours import Look
from fpmc_bench.results.site.plots import (
    BAND_ERRORS,
    Chart,
    band,
    figure_text,
    line,
    log_axis,
    number,
    plot_text,
)
from fpmc_bench.results.statistics import SIGNIFICANCE, half_width, mean_and_error
from fpmc_bench.results.table import RANKED_BY, Row, Table

ERROR = "MSE (squared pixel values)"
SIGMA = "noise level sigma (pixel values in [-1, 1])"
LEAST_BAND = 1e-3
"""A band that reaches below zero, which no logarithm shows, ends at this part of its mean."""
MOST_TIMES = 20
"""Rows that err by more leave the chart of ratios, where the others are to be told apart."""
FEW_TIMES = 4
"""By as much a mean at most is above the end of its interval that an axis makes room for."""
ROW_PX, FOREST_PX, CURVES_PX = 26, 110, 480


def forest(table: Table, looks: Mapping[str, Look]) -> Chart:
    """Every row's mean with its interval, as `render/forest.py` has it, the best on top."""
    data, ends = [], []
    independent = table.groups or table.items
    for row in table.rows:
        figure, look = row.figures[RANKED_BY], looks[row.entry]
        half = half_width(figure, independent)
        # the axis is not stretched by what reaches near zero
        low = max(figure.mean - half, figure.mean / FEW_TIMES)
        ends += [low, figure.mean, figure.mean + half]
        data.append(
            {
                "type": "scatter",
                "mode": "markers",
                "meta": {"row": row.entry},
                "x": [number(figure.mean)],
                "y": [plot_text(row.entry)],
                "error_x": {
                    "type": "data",
                    "array": [number(half)],
                    "color": look.colour,
                    "thickness": 2,
                    "width": 5,
                },
                "marker": {"color": look.colour, "symbol": look.marker, "size": 9},
                "hovertext": [plot_text(f"{entry_text(row)}: {figure_text(figure)}")],
                "hoverinfo": "text",
            }
        )
    layout = {
        "height": FOREST_PX + ROW_PX * max(len(table.rows), 10),
        "xaxis": log_axis(ERROR, ends, 1.1),
        "yaxis": {
            "type": "category",
            "categoryarray": [plot_text(row.entry) for row in reversed(table.rows)],
            "range": [-0.7, len(table.rows) - 0.3],
            "automargin": True,
        },
    }
    title = f"Error of every row, with {1 - SIGNIFICANCE:.0%} intervals"
    return Chart(
        f"{table.protocol}-forest", title, f"{title}; the table has the numbers.", data, layout
    )


def curves(table: Table, looks: Mapping[str, Look]) -> Chart:
    """Error against noise level, with bands."""
    bands, lines = [], []
    for row in table.rows:
        means = [figure.mean for figure in row.by_sigma]
        errors = [BAND_ERRORS * figure.standard_error for figure in row.by_sigma]
        known = list(zip(means, errors, strict=True))
        low = [max(mean - error, LEAST_BAND * mean) for mean, error in known]
        high = [mean + error for mean, error in known]
        look = looks[row.entry]
        bands.append(band(row.entry, look, table.sigmas, low, high))
        lines.append(line(row.entry, look, table.sigmas, means, _hovers(row, table, row.by_sigma)))
    shown = [figure.mean for row in table.rows for figure in row.by_sigma]
    return _by_sigma(
        table,
        "curves",
        f"Error by noise level, with bands of ±{BAND_ERRORS} standard errors",
        [*bands, *lines],
        log_axis(ERROR, shown),
    )


def relative_curves(
    table: Table, values: Mapping[str, ItemValues], looks: Mapping[str, Look]
) -> Chart | None:
    """The same divided by the other network's; None where the table has no other network.

    `values` [items,S] by metric, of every row.
    """
    other = next((row for row in table.rows if row.rank is None), None)
    if other is None:
        return None
    lines = []
    for row in table.rows:
        ratios = relative_to(values[row.entry], values[other.entry])
        hovers = _hovers(row, table, ratios)
        means = [ratio.mean for ratio in ratios]
        lines.append(line(row.entry, looks[row.entry], table.sigmas, means, hovers))
    shown = [value for one in lines for value in one["y"] if value is not None]
    near = [value for value in shown if 1 / MOST_TIMES <= value <= MOST_TIMES]
    axis = log_axis(f"error ÷ that of {other.entry}", near, 1.1)
    cut = f", cut at {MOST_TIMES} times" if max(shown, default=0) > MOST_TIMES else ""
    title = f"Error relative to {other.entry}, the other network{cut}"
    return _by_sigma(table, "relative", title, lines, axis)


def relative_to(mine: ItemValues, others: ItemValues) -> list[Figure]:
    """Ratio of two rows' mean errors at every noise level, from [items,S] by metric each.

    Its standard error is that of a ratio of means of pairs, to first order (the delta method):
    of the mean of e - r e', divided by the mean of e', clustered as all errors are.
    """
    ratios = []
    for error, other in zip(mine[RANKED_BY].T, others[RANKED_BY].T, strict=True):
        below = float(other.mean())
        ratio = float(error.mean()) / below if below else math.nan
        spread = mean_and_error(error - ratio * other, mine.groups)
        certainty = spread.standard_error / below if below else math.nan
        ratios.append(Figure(mean=ratio, standard_error=certainty, n=spread.n))
    return ratios


def cost(table: Table, looks: Mapping[str, Look]) -> Chart:
    """Quality against cost."""
    data = []
    for row in table.rows:
        figure, look = row.figures[RANKED_BY], looks[row.entry]
        text = f"{entry_text(row)}: {figure_text(figure)}, {row.seconds_per_query:.2g} s a query"
        point = line(row.entry, look, [row.seconds_per_query], [figure.mean], [text])
        point["marker"]["size"] = 12
        data.append(point)
    seconds = [row.seconds_per_query for row in table.rows]
    layout = {
        "height": FOREST_PX + ROW_PX * max(len(table.rows), 10),
        "xaxis": log_axis("seconds a query", seconds),
        "yaxis": log_axis(ERROR, [row.figures[RANKED_BY].mean for row in table.rows], 1.3),
    }
    title = "Quality against cost: lower is nearer, further left is quicker"
    return Chart(
        f"{table.protocol}-cost", title, f"{title}; the table has the numbers.", data, layout
    )


def _hovers(row: Row, table: Table, figures: Sequence[Figure]) -> list[str]:
    return [
        f"{entry_text(row)}, sigma {sigma:.3g}: {figure_text(figure)}"
        for sigma, figure in zip(table.sigmas, figures, strict=True)
    ]


def _by_sigma(
    table: Table, kind: str, title: str, data: list[dict[str, Any]], y: dict[str, Any]
) -> Chart:
    layout = {"height": CURVES_PX, "xaxis": log_axis(SIGMA, table.sigmas, 1.3), "yaxis": y}
    description = f"{title}; the table by noise level has the numbers."
    return Chart(f"{table.protocol}-{kind}", title, description, data, layout)
