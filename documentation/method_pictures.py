"""Pictures of what a method looks at: q and r of its estimators on the suite `photos`.

    python documentation/method_pictures.py docs/pictures/methods

writes one picture a method, of the plugins themselves with the suite's parameters: for a pixel in
the middle and one at the border, at three noise levels. A row of a picture is the query precision
of the pixel's estimator, or its response, in shares of its largest value. `wiener`, which is no
collection, has the weights of its linear map.
"""

import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from torch import Tensor

from fpmc_bench import FPMC, load_suite
from fpmc_bench.catalog.built import BuiltDenoiser, assemble
from fpmc_bench.catalog.context import Context, load_context
from fpmc_bench.catalog.installed import installed_registry
from fpmc_bench.catalog.parameters import make_plugin
from fpmc_bench.fpmc import Filter

LEVELS = (8, 11, 12)
"""Of the suite's grid: sigma 3.26, 0.585 and 0.296, between which methods differ most."""
PIXELS = {"centre": (8, 8), "border": (5, 0)}
CHANNEL = 1
"""Green, where a method tells channels apart."""
PICTURES = {
    "optimal": ("optimal",),
    "wiener": ("wiener",),
    "ls": ("ls",),
    "els": ("els",),
    "pspc-square": ("pspc-square",),
    "pspc-flex": ("pspc-flex",),
    "lukoianov": ("lukoianov",),
    "windows": ("windows",),
    "finetuned": ("pspc-flex+qr", "windows+qr"),
}
"""Denoiser -> the entries of the suite that its picture shows."""
MARK = "#d55e00"

Pixel = tuple[int, int]


@dataclass(frozen=True)
class Row:
    """One row of a picture: what it shows, and [H,W] of it for a pixel at a noise level."""

    label: str
    values: Callable[[Pixel, float], Tensor]
    signed: bool = False


def rows_of(denoiser: BuiltDenoiser, label: str) -> list[Row]:
    """q and r of a collection, and where it looks; of any other method its linear map."""
    if denoiser.name == "wiener":
        return [Row("weight of z", lambda pixel, sigma: weights_of(denoiser, pixel, sigma), True)]

    def of(side: Callable[[FPMC], Filter]) -> Callable[[Pixel, float], Tensor]:
        def values(pixel: Pixel, sigma: float) -> Tensor:
            model = denoiser.fpmc(sigma)
            return plane(side(model), estimator_of(model, pixel))

        return values

    rows = [
        Row(f"{label}precision q", of(lambda model: model.precision)),
        Row(f"{label}response r", of(lambda model: model.response)),
    ]
    if denoiser.fpmc(1.0).translations is not None:
        rows.append(Row("patches found at", lambda pixel, sigma: moves(denoiser, pixel, sigma)))
    return rows


def estimator_of(model: FPMC, pixel: Pixel) -> int:
    """The estimator of a pixel: its own, or the one whose response is centred nearest to it."""
    _, height, width = model.shape
    own = pixel[0] * width + pixel[1]
    if model.estimators == height * width:
        return own
    if model.estimators == model.shape.dimensions:
        return CHANNEL * height * width + own
    responses = torch.stack([plane(model.response, i) for i in range(model.estimators)])
    share = responses / responses.sum((1, 2), keepdim=True)
    y = (share.sum(2) * torch.arange(height)).sum(1)
    x = (share.sum(1) * torch.arange(width)).sum(1)
    distance = (y - pixel[0]) ** 2 + (x - pixel[1]) ** 2
    return int(distance.argmin())


def plane(filter_: Filter, estimator: int) -> Tensor:
    """[H,W]: one estimator's row of a filter, the mean over channels."""
    return filter_.dense()[estimator].reshape(tuple(filter_.shape)).mean(0)


def moves(denoiser: BuiltDenoiser, pixel: Pixel, sigma: float) -> Tensor:
    """[H,W]: 1 where the patch of a pixel may come from in a training image (eq. 62-67)."""
    translations = denoiser.fpmc(sigma).translations
    assert translations is not None
    _, height, width = denoiser.setting.shape
    found = torch.zeros(height, width)
    rows, columns = (
        list(translations.targets(at, size))
        for at, size in zip(pixel, (height, width), strict=True)
    )
    found[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1] = 1
    return found


def weights_of(denoiser: BuiltDenoiser, pixel: Pixel, sigma: float) -> Tensor:
    """[H,W]: by how much z of the same channel moves an affine denoiser's answer at a pixel."""
    channels, height, width = denoiser.setting.shape
    impulses = torch.zeros(height * width, channels, height, width, dtype=torch.float64)
    impulses[:, CHANNEL] = torch.eye(height * width, dtype=torch.float64).reshape(-1, height, width)
    zero = denoiser(torch.zeros_like(impulses[:1]), sigma)
    answers = denoiser(impulses, sigma) - zero
    return answers[:, CHANNEL, pixel[0], pixel[1]].reshape(height, width)


def drawn(name: str, rows: Sequence[Row], sigmas: Sequence[float]) -> Figure:
    """The picture of a method."""
    figure = Figure(figsize=(8.6, 0.75 + 1.42 * len(rows)), layout="constrained")
    FigureCanvasAgg(figure)
    panels = figure.subplots(len(rows), len(sigmas) * len(PIXELS), squeeze=False)
    cases = [(sigma, place) for sigma in sigmas for place in PIXELS]
    for row, line in zip(rows, panels, strict=True):
        for (sigma, place), axes in zip(cases, line, strict=True):
            _panel(axes, row, PIXELS[place], sigma)
        line[0].set_ylabel(row.label, fontsize=9)
        image = line[0].images[0]
        bar = figure.colorbar(image, ax=list(line), shrink=0.85, pad=0.012, aspect=12)
        bar.ax.tick_params(labelsize=7)
        bar.set_label("share of largest", fontsize=7)
    for (sigma, place), axes in zip(cases, panels[0], strict=True):
        axes.set_title(f"sigma {sigma:.3g}\n{place} pixel", fontsize=8)
    figure.suptitle(f"{name}, on 16 x 16 photographs", fontsize=10)
    return figure


def _panel(axes: Axes, row: Row, pixel: Pixel, sigma: float) -> None:
    values = row.values(pixel, sigma)
    values = values / values.abs().max()
    colours, low = ("PuOr", -1) if row.signed else ("viridis", 0)
    axes.imshow(values.numpy(), cmap=colours, vmin=low, vmax=1, interpolation="nearest")
    y, x = pixel
    axes.plot(
        [x - 0.5, x + 0.5, x + 0.5, x - 0.5, x - 0.5],
        [y - 0.5, y - 0.5, y + 0.5, y + 0.5, y - 0.5],
        color=MARK,
        linewidth=1.6,
        clip_on=False,
    )
    axes.set_xticks([])
    axes.set_yticks([])


def built(context: Context, entry_name: str) -> BuiltDenoiser:
    """An entry of the suite over its training images."""
    entry = next(one for one in context.suite.entries if one.name == entry_name)
    cls = context.registry.get("denoisers", entry.denoiser).item
    maps = "sensitivity" in cls.needs
    setting = context.setting(context.dataset.train, with_sensitivity=maps)
    return assemble(make_plugin(cls, entry.params), setting)


def main(arguments: Sequence[str]) -> None:
    """Write all pictures into a folder, or those of the denoisers that are named after it."""
    folder, *names = arguments
    Path(folder).mkdir(parents=True, exist_ok=True)
    context = load_context(load_suite("photos"), installed_registry(), "cpu")
    sigmas = [context.sigmas[level] for level in LEVELS]
    for name in names or PICTURES:
        entries = PICTURES[name]
        rows = [
            row
            for entry in entries
            for row in rows_of(built(context, entry), f"{entry}\n" if len(entries) > 1 else "")
        ]
        drawn(name, rows, sigmas).savefig(Path(folder) / f"{name}.png", dpi=140)


if __name__ == "__main__":
    main(sys.argv[1:])
