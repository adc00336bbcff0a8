"""A figure drawn from matplotlib's defaults: a user's own settings don't change its bytes."""

import io
from collections.abc import Callable
from typing import Literal

import matplotlib
from matplotlib import style
from matplotlib.axis import Axis
from matplotlib.figure import Figure as Canvas
from matplotlib.ticker import LogLocator, NullFormatter, StrMethodFormatter

from fpmc_bench.documents.text import one_line
from fpmc_bench.results.render.colours import Dash, Marker
from fpmc_bench.results.render.origin import SOFTWARE, SOURCE

DOTS_PER_INCH = 150
MARKS: dict[Marker, str] = {
    "circle": "o",
    "square": "s",
    "triangle-up": "^",
    "triangle-down": "v",
    "diamond": "D",
    "cross": "P",
    "x": "X",
    "star": "*",
    "hexagon": "h",
}
DASHES: dict[Dash, tuple[float, tuple[float, ...]]] = {
    "solid": (0, ()),
    "dash": (0, (4, 1.5)),
    "dot": (0, (1, 1.2)),
    "dashdot": (0, (4, 1.5, 1, 1.5)),
}
"""What matplotlib calls the words of `colours.py`."""
Picture = Literal["png", "svg"]


def drawn(
    size_inches: tuple[float, float],
    draw: Callable[[Canvas], None],
    kind: Picture = "png",
    key: str | None = None,
) -> bytes:
    """What `draw` puts on an empty canvas, as a PNG or SVG; equal input, equal bytes.

    With the `key` of what is drawn (`origin.py`) it says that of itself, and by what it was drawn.
    """
    software = f"matplotlib {matplotlib.__version__}" if key else None
    said = {SOURCE: key} if key else {}
    metadata = {SOFTWARE: software} if kind == "png" else {"Date": None, "Creator": software}
    with style.context(["default", {"svg.hashsalt": "fpmc_bench"}]):
        canvas = Canvas(figsize=size_inches, dpi=DOTS_PER_INCH, layout="constrained")
        draw(canvas)
        for panel in canvas.axes:
            panel.set_axisbelow(True)
            panel.spines[["top", "right"]].set_visible(False)
        output = io.BytesIO()
        canvas.savefig(output, format=kind, metadata={**metadata, **said})
    return output.getvalue()


def plain(text: str) -> str:
    """A name as it is, where matplotlib would read a formula between two dollars."""
    return one_line(text).replace("$", r"\$")


def plain_log_ticks(axis: Axis) -> None:
    """Label 1, 2 and 5 of every decade as plain numbers; for axes of a few decades at most."""
    axis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
    axis.set_major_formatter(StrMethodFormatter("{x:g}"))
    axis.set_minor_formatter(NullFormatter())
