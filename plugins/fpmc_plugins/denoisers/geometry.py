"""Windows along one image axis: the rows and columns of separable filters, float64."""

import torch
from torch import Tensor


def centred_windows(size_px: int, side_px: int) -> Tensor:
    """[size,size]: row i is 1 within (side - 1) / 2 of i, clipped at the border; `side_px` odd."""
    position = torch.arange(size_px)
    return ((position[:, None] - position).abs() <= (side_px - 1) // 2).double()


def inner_windows(size_px: int, side_px: int) -> Tensor:
    """[size-side+1,size]: row i is 1 on the `side_px` positions from i, all inside the image."""
    offset = torch.arange(size_px) - torch.arange(size_px - side_px + 1)[:, None]
    return ((offset >= 0) & (offset < side_px)).double()


def gaussian_windows(size_px: int, width_px: float) -> Tensor:
    """[size,size] float64: row i is exp(-(u - i)^2 / 2 width^2); ones for an infinite width."""
    position = torch.arange(size_px, dtype=torch.float64)
    return torch.exp(-0.5 * ((position[:, None] - position) / width_px).square())
