"""The source, a block of images at a time, laid out for sums of long vectors.

A block holds one row a pixel and one column an image. What distances are taken of is divided by
sqrt(2) sigma as it is read, so that a sum of squares is an energy, with no further pass over it.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from fpmc_bench.source import Source


@dataclass(frozen=True, eq=False)
class Block:
    """Some images as columns: what distances are taken of, and what is averaged.

    Images stored as levels are averaged as levels, less their middle, so that nothing is rounded
    before the sums; `value_unit` turns them into values.
    """

    scaled: Tensor
    """x / (sqrt(2) sigma), [C,H*W,n] in the dtype of the distances."""
    moments: Tensor
    """Values, and last their squares summed over the channels that share a row: [C+1,K,n]."""
    log_weights: Tensor | None
    """[n], or None for equal weights."""


def distance_scale(sigma: float) -> float:
    """What differences are multiplied by, so that their squares sum to E / 2 sigma^2."""
    return 1 / (math.sqrt(2) * sigma)


def value_unit(source: Source) -> float:
    """What a block's values are to be multiplied by to lie in [-1,1]."""
    return source.scale if source.is_levels else 1.0


def source_blocks(
    source: Source,
    images: int,
    device: torch.device | str,
    dtype: torch.dtype,
    sigma: float,
    channels: int,
) -> Iterator[Block]:
    """The whole source in order, `images` at a time; images of no weight are left out.

    `channels` share a row of what is averaged: all of them, or 1.
    """
    unit = value_unit(source)
    for start in range(0, len(source), images):
        stop = min(start + images, len(source))
        raw = source.images[start:stop]
        weights = None if source.log_weights is None else source.log_weights[start:stop]
        if weights is not None and bool((weights == -math.inf).any()):
            raw, weights = raw[weights > -math.inf], weights[weights > -math.inf]
            if not len(raw):
                continue
        # transposed as a matrix, which torch does in tiles, and as bytes where images are bytes
        columns = raw.to(device).flatten(1).T.contiguous()
        moments = torch.empty(channels + 1, len(columns) // channels, len(raw), device=device)
        values = moments[:channels]
        values.copy_(columns.view_as(values))
        if source.is_levels:
            values.sub_(1 / source.scale)
        torch.mul(values[0], values[0], out=moments[channels])
        for channel in values[1:]:
            moments[channels].addcmul_(channel, channel)
        scaled = (
            values.to(dtype).mul(unit * distance_scale(sigma)).reshape(len(raw[0]), -1, len(raw))
        )
        yield Block(scaled, moments, None if weights is None else weights.to(device, dtype))
