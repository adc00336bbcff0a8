"""What all charts share: plotly's data and layout as plain dicts, and text that stays text.

Colours of paper, text and grid are the page's, light or dark, and are set where it is looked at.
"""

import html
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from fpmc_bench.documents.record import Figure
from fpmc_bench.documents.text import one_line
from fpmc_bench.results.render.colours import Look

BAND_ERRORS = 2
"""Bands and intervals reach so many standard errors."""
DIGITS = 4
FEW_DECADES = 10**2.5


@dataclass(frozen=True)
class Chart:
    """A figure of plotly's, and what it says to who doesn't see it."""

    id: str
    title: str
    description: str
    data: list[dict[str, Any]]
    layout: dict[str, Any]


def plot_text(text: str) -> str:
    """Text as plotly shows it, which reads tags like <b> and <a href> in all of its labels."""
    return html.escape(one_line(text), quote=False)


def number(value: float) -> float | None:
    """As JSON, which has no NaN and no infinity: None, for which plotly leaves a gap."""
    return value if math.isfinite(value) else None


def figure_text(figure: Figure) -> str:
    """A mean with its standard error, for a label."""
    return f"{figure.mean:.{DIGITS}g} ± {figure.standard_error:.2g} s.e."


def log_axis(title: str, values: Iterable[float] = (), margin: float = 1.6) -> dict[str, Any]:
    """A logarithmic axis around the positive values, with a little room.

    Of few decades it has 1, 2 and 5 of each as its ticks, else powers of ten.
    """
    positive = [value for value in values if math.isfinite(value) and value > 0]
    axis: dict[str, Any] = {
        "type": "log",
        "title": {"text": f"{plot_text(title)}, log scale"},
        "exponentformat": "power",
        "dtick": 1,
        "minor": {"dtick": "D1", "ticks": "outside", "ticklen": 3},
        "automargin": True,
    }
    if positive:
        low, high = min(positive) / margin, max(positive) * margin
        axis["range"] = [math.log10(low), math.log10(high)]
        if high / low < FEW_DECADES:
            ticks = [step * 10.0**power for power in range(-12, 12) for step in (1, 2, 5)]
            shown = [tick for tick in ticks if low <= tick <= high]
            axis |= {"tickvals": shown, "ticktext": [f"{tick:g}" for tick in shown]}
    return axis


def line(row: str, look: Look, x: Sequence[float], y: Sequence[float], hover: Sequence[str]) -> Any:
    """A line with markers through points, those that are not numbers left out."""
    return {
        "type": "scatter",
        "mode": "lines+markers",
        "name": plot_text(row),
        "meta": {"row": row},
        "x": [number(value) for value in x],
        "y": [number(value) for value in y],
        "hovertext": [plot_text(text) for text in hover],
        "hoverinfo": "text",
        "line": {"color": look.colour, "dash": look.dash, "width": 2},
        "marker": {"color": look.colour, "symbol": look.marker, "size": 7},
    }


def band(
    row: str, look: Look, x: Sequence[float], low: Sequence[float], high: Sequence[float]
) -> Any:
    """Between two curves, of the points at which both are numbers."""
    points = [point for point in zip(x, low, high, strict=True) if all(map(math.isfinite, point))]
    there = [point[0] for point in points]
    return {
        "type": "scatter",
        "mode": "lines",
        "meta": {"row": row},
        "x": there + there[::-1],
        "y": [point[1] for point in points] + [point[2] for point in reversed(points)],
        "fill": "toself",
        "fillcolor": look.colour,
        "opacity": 0.18,
        "line": {"width": 0},
        "hoverinfo": "skip",
    }
