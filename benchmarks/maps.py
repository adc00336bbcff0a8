"""Synthetic sensitivity maps, in place of a teacher's: bumps around each pixel, roughened.

A network's maps are largest at the pixel itself, fall off around it, and have a texture that no
simple shape describes. So have these; thresholds are then chosen for masks of a wanted size.
"""

import torch
from torch import Tensor

from fpmc_bench.fpmc.shapes import ImageShape

BUMP_SHARE = 1 / 6
"""Standard deviation of a bump, as a share of the image's shorter side."""
TEXTURE_KNOTS = 6
TEXTURE_FLOOR = 0.05
"""Textures go from here to 1, so that no pixel is without sensitivity by chance."""
BISECTIONS = 13
"""To four decimals: closer to a pixel's share, rounding would decide on it."""


def synthetic_maps(shape: ImageShape, seed: int) -> Tensor:
    """[H,W,H,W] float32, positive: a Gaussian around each pixel times a smooth random texture."""
    _, height, width = shape
    deviation_px = BUMP_SHARE * min(height, width)
    rows, columns = (
        (torch.arange(size)[:, None] - torch.arange(size)).square() for size in (height, width)
    )
    squared_px = rows[:, None, :, None] + columns[None, :, None, :]  # [H,W,H,W]
    knots = torch.rand(
        1,
        shape.pixels,
        TEXTURE_KNOTS,
        TEXTURE_KNOTS,
        generator=torch.Generator().manual_seed(seed),
    )
    texture = torch.nn.functional.interpolate(
        knots, size=(height, width), mode="bicubic", align_corners=True
    ).clamp(0, 1)
    texture = TEXTURE_FLOOR + (1 - TEXTURE_FLOOR) * texture
    return (-squared_px / (2 * deviation_px**2)).exp() * texture.reshape(squared_px.shape)


def threshold_for(maps: Tensor, pixels: int) -> float:
    """The share of sensitivity at which masks hold `pixels` pixels on average, by bisection."""
    height, width = maps.shape[:2]
    shares = maps.double().reshape(height * width, -1)
    shares = shares / shares.sum(1, keepdim=True)
    ordered = shares.sort(dim=1, descending=True).values
    before = ordered.cumsum(1) - ordered
    low, high = 0.0, 1.0
    for _ in range(BISECTIONS):
        middle = (low + high) / 2
        if float((before < middle).sum(1).double().mean()) < pixels:
            low = middle
        else:
            high = middle
    return high
