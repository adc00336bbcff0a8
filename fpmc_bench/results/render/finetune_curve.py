"""The figure of a fine-tuning: validation error against the steps. Needs matplotlib."""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib import colormaps
from matplotlib.cm import ScalarMappable
from matplotlib.colors import LogNorm
from matplotlib.figure import Figure as Canvas

from fpmc_bench.results.render.canvas import drawn, plain, plain_log_ticks

SIZE_INCHES = (7.6, 4.6)


def draw_finetune_curves(title: str, curves: Mapping[float, Sequence[tuple[int, float]]]) -> bytes:
    """A PNG: for every sigma, (step, MSE) relative to the base's; equal input, equal bytes."""
    sigmas = sorted(curves)
    scale = ScalarMappable(LogNorm(sigmas[0], sigmas[-1]), colormaps["viridis"])

    def draw(canvas: Canvas) -> None:
        axes = canvas.subplots()
        for sigma in sigmas:
            points = curves[sigma]
            base = points[0][1]
            axes.plot(
                [step for step, _ in points],
                [error / base for _, error in points],
                color=tuple(scale.to_rgba(np.asarray(sigma))),
                linewidth=1.2,
                marker=".",
                markersize=3,
            )
        axes.axhline(1, color="0.5", linewidth=0.8, linestyle="--")
        axes.set_yscale("log")
        plain_log_ticks(axes.yaxis)
        axes.set_title(plain(title), fontsize="medium", loc="left")
        axes.set_xlabel("step")
        axes.set_ylabel("validation MSE / that of the base (no unit, log scale)")
        axes.grid(which="both", color="0.92", linewidth=0.6)
        canvas.colorbar(scale, ax=axes, label="noise level sigma (images in [-1, 1], log scale)")

    return drawn(SIZE_INCHES, draw)
