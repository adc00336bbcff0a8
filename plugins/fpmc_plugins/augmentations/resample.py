"""Moving, turning and scaling images without aliasing.

An image is a band-limited function sampled at its pixels and reflected at their outermost centres.
It is interpolated to twice the resolution, read at the transformed places (bicubic there), and
what its pixels could not hold is filtered out on the way back (Karras et al. 2020, appendix B,
with Lanczos filters).
"""

import torch
from torch import Tensor
from torch.nn import functional as F

LOBES = 6
"""Of the filters, on either side."""
CHUNK_IMAGES = 256


def resample(images: Tensor, matrices: Tensor) -> Tensor:
    """images [N,C,H,W] float32, matrices [N,2,3] float64 -> [N,C,H,W] float32.

    A matrix takes a place in the result to the one in the image that is shown there: (x, y, 1),
    in pixels from the image's centre, x to the right and y down. Sides must be 2 pixels or more.
    """
    parts = zip(images.split(CHUNK_IMAGES), matrices.split(CHUNK_IMAGES), strict=True)
    return torch.cat([_resample(*part) for part in parts]) if len(images) else images


def _resample(images: Tensor, matrices: Tensor) -> Tensor:
    fine = _doubled(_doubled(images).transpose(2, 3)).transpose(2, 3)
    moved = F.grid_sample(
        fine,
        _places(images.shape[2], images.shape[3], matrices),
        mode="bicubic",
        padding_mode="reflection",
        align_corners=True,
    )
    return _halved(_halved(moved).transpose(2, 3)).transpose(2, 3)


def _places(height: int, width: int, matrices: Tensor) -> Tensor:
    """Where the doubled result and a margin for its filter are read, [n,h,w,2] in [-1,1]."""
    x, y = (
        torch.arange(-LOBES, side - 1 + LOBES + 0.25, 0.5, dtype=torch.float64) - (side - 1) / 2
        for side in (width, height)
    )
    here = torch.stack(torch.meshgrid(x, y, indexing="xy"), dim=-1)
    there = torch.einsum("nij,yxj->nyxi", matrices[:, :, :2], here) + matrices[:, None, None, :, 2]
    outermost = torch.tensor([(width - 1) / 2, (height - 1) / 2], dtype=torch.float64)
    return (there / outermost).float()


def _lanczos(offsets: Tensor) -> Tensor:
    return torch.sinc(offsets) * torch.sinc(offsets / LOBES)


def _doubled(images: Tensor) -> Tensor:
    """[n,C,H,W] -> [n,C,H,2W-1]: pixels, and between any two of them what lies there."""
    taps = _lanczos(torch.arange(0.5 - LOBES, LOBES, 1.0))
    between = _filtered(_reflected(images, LOBES - 1), taps / taps.sum())
    pairs = torch.stack([images[..., :-1], between], dim=-1).flatten(-2)
    return torch.cat([pairs, images[..., -1:]], dim=-1)


def _halved(fine: Tensor) -> Tensor:
    """[n,C,h,2W-1+4*LOBES] -> [n,C,h,W]: without what is above the pixels' own band."""
    taps = _lanczos(torch.arange(-LOBES, LOBES + 0.25, 0.5))
    return _filtered(fine, taps / taps.sum())[..., ::2]


def _filtered(rows: Tensor, taps: Tensor) -> Tensor:
    flat = rows.reshape(-1, 1, rows.shape[-1])
    return F.conv1d(flat, taps.to(rows).reshape(1, 1, -1)).reshape(*rows.shape[:-1], -1)


def _reflected(images: Tensor, margin: int) -> Tensor:
    """Rows continued by reflection about the outermost pixels, any number of times."""
    width = images.shape[-1]
    period = 2 * (width - 1)
    phase = torch.arange(-margin, width + margin) % period
    return images[..., torch.minimum(phase, period - phase)]
