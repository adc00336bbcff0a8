"""Rounding images to 256 levels, as any image file does."""

import torch
from torch import Tensor

from fpmc_bench.contracts import BYTE_SCALE


def to_bytes(values: Tensor) -> Tensor:
    """Values in [-1, 1] -> the nearest levels, uint8."""
    return values.add(1).div_(BYTE_SCALE).round_().to(torch.uint8)
