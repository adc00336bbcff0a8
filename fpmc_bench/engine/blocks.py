"""The source, a block of images at a time, laid out for sums of long vectors.

A block holds one row a pixel and one column an image. Values are divided by sqrt(2) sigma as they
are read, so that a sum of squared differences is an energy, with no further pass over it.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from fpmc_bench.source import Source


@dataclass(frozen=True, eq=False)
class Block:
    """`scaled` [C,H*W,n] = x / (sqrt(2) sigma) in the dtype of the distances; `values` float32."""

    scaled: Tensor
    values: Tensor
    log_weights: Tensor | None
    """[n], or None for equal weights."""

    @cached_property
    def squares(self) -> Tensor:
        """values^2 summed over channels: [H*W,n]."""
        return self.values.square().sum(0)


def distance_scale(sigma: float) -> float:
    """What differences are multiplied by, so that their squares sum to E / 2 sigma^2."""
    return 1 / (math.sqrt(2) * sigma)


def source_blocks(
    source: Source, images: int, device: torch.device | str, dtype: torch.dtype, sigma: float
) -> Iterator[Block]:
    """The whole source in order, `images` at a time; images of no weight are left out."""
    scale = distance_scale(sigma)
    for start in range(0, len(source), images):
        stop = min(start + images, len(source))
        raw = source.images[start:stop]
        weights = None if source.log_weights is None else source.log_weights[start:stop]
        if weights is not None and bool((weights == -math.inf).any()):
            raw, weights = raw[weights > -math.inf], weights[weights > -math.inf]
            if not len(raw):
                continue
        # one byte a value is moved and transposed; only then do they become floats
        columns = raw.to(device).flatten(2).permute(1, 2, 0).contiguous()
        if columns.dtype == torch.uint8:
            scaled = columns.to(dtype).mul_(source.scale * scale).sub_(scale)
        else:
            scaled = columns.to(dtype) * scale
        # sigma is not in the values: times scale and back would round them
        values = source.to_values(columns, torch.float32)
        yield Block(scaled, values, None if weights is None else weights.to(device, dtype))
