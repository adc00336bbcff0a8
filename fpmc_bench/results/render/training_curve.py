"""The figure of a training: loss and held-out errors against the steps. Needs matplotlib."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.figure import Figure as Canvas

from fpmc_bench.results.render.canvas import drawn, plain

SIZE_INCHES = (8.4, 6.4)


@dataclass(frozen=True)
class CurvePoint:
    """What is drawn of one line of a log; `held_out` is sigma -> MSE, empty where none was due."""

    step: int
    loss: float
    held_out: Mapping[float, float]


def draw_training_curve(title: str, batch: int, points: Sequence[CurvePoint]) -> bytes:
    """A PNG: training loss over held-out MSE, all axes logarithmic; equal input, equal bytes.

    Without held-out errors the loss has the figure to itself.
    """
    measured = [point for point in points if point.held_out]

    def draw(canvas: Canvas) -> None:
        panels = canvas.subplots(2 if measured else 1, sharex=True, squeeze=False)[:, 0]
        _draw_loss(panels[0], points)
        panels[0].set_title(plain(title), fontsize="medium", loc="left")
        if measured:
            _draw_held_out(panels[1], measured)
        panels[-1].set_xlabel(f"training step (batches of {batch} images, log scale)")
        for panel in panels:
            panel.grid(which="major", color="0.9", linewidth=0.6)

    return drawn(SIZE_INCHES, draw)


def _draw_loss(axes: Axes, points: Sequence[CurvePoint]) -> None:
    steps, losses = [p.step for p in points], [p.loss for p in points]
    axes.plot(steps, losses, color="#0072B2", linewidth=1.2, marker=".", markersize=3)
    axes.set_xscale("log")
    axes.set_yscale("log")
    axes.set_ylabel("training loss (log scale)\n(weighted by noise level, no unit)")


def _draw_held_out(axes: Axes, points: Sequence[CurvePoint]) -> None:
    sigmas = sorted(points[-1].held_out)
    colours = colormaps["viridis"]
    for position, sigma in enumerate(sigmas):
        axes.plot(
            [point.step for point in points],
            [point.held_out[sigma] for point in points],
            label=f"sigma {sigma:g}",
            color=colours(0.9 * position / max(len(sigmas) - 1, 1)),
            linewidth=1.2,
            marker="o",
            markersize=3,
        )
    axes.set_yscale("log")
    axes.set_ylabel(
        "held-out MSE of the average (log scale)\n(squared pixel units, images in [-1, 1])"
    )
    axes.legend(
        loc="center left", bbox_to_anchor=(1, 0.5), frameon=False, fontsize="small", reverse=True
    )
