"""The source, a block of images at a time, laid out for sums of long vectors.

A block holds one row a pixel and one column an image. What distances are taken of is divided by
sqrt(2) sigma as it is read, so that a sum of squares is an energy, with no further pass over it.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from fpmc_bench.engine.scratch import Scratch
from fpmc_bench.engine.transpose import transpose_into
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


FLOAT_BYTES = 4
ARRAYS_PER_BLOCK = 2


def distance_scale(sigma: float) -> float:
    """What differences are multiplied by, so that their squares sum to E / 2 sigma^2."""
    return 1 / (math.sqrt(2) * sigma)


def value_unit(source: Source) -> float:
    """What a block's values are to be multiplied by to lie in [-1,1]."""
    return source.scale if source.is_levels else 1.0


@dataclass(frozen=True, eq=False)
class BlockReader:
    """Reads a source as blocks of `images` for one noise level.

    `channels` share a row of what is averaged: all of them, or 1.
    """

    source: Source
    images: int
    device: torch.device
    dtype: torch.dtype
    sigma: float
    channels: int

    @property
    def total_bytes(self) -> int:
        """What all blocks take that are kept."""
        rows = self.source.shape.dimensions // self.channels
        moments_bytes = (self.channels + 1) * rows * FLOAT_BYTES
        scaled_bytes = self.source.shape.dimensions * self.dtype.itemsize
        return len(self.source) * (moments_bytes + scaled_bytes)

    @property
    def count(self) -> int:
        """At most so many blocks."""
        return math.ceil(len(self.source) / self.images)

    def blocks(self, keep_in: Scratch | None = None) -> Iterator[Block]:
        """The whole source in order; images of no weight are left out.

        A block is overwritten by the next unless there is somewhere to keep them.
        """
        buffers: tuple[Tensor, Tensor] | None = None
        for start in range(0, len(self.source), self.images):
            raw, weights = self._rows(start)
            if not len(raw):
                continue
            if keep_in or buffers is None or buffers[0].shape[-1] != len(raw):
                buffers = self._buffers(len(raw), keep_in)
            moments, scaled = buffers
            values = moments[: self.channels]
            transpose_into(values.flatten(0, 1), raw.to(self.device).flatten(1))
            if self.source.is_levels:
                values.sub_(1 / self.source.scale)
            torch.mul(values[0], values[0], out=moments[self.channels])
            for channel in values[1:]:
                moments[self.channels].addcmul_(channel, channel)
            factor = value_unit(self.source) * distance_scale(self.sigma)
            torch.mul(values.view_as(scaled).to(scaled.dtype), factor, out=scaled)
            if weights is not None:
                weights = weights.to(self.device, self.dtype)
            yield Block(scaled, moments, weights)

    def _rows(self, start: int) -> tuple[Tensor, Tensor | None]:
        """Images as stored, with log weights above -inf."""
        rows = slice(start, min(start + self.images, len(self.source)))
        raw, weights = self.source.images[rows], self.source.log_weights
        if weights is None:
            return raw, None
        there = weights[rows] > -math.inf
        return (raw, weights[rows]) if bool(there.all()) else (raw[there], weights[rows][there])

    def _buffers(self, images: int, keep_in: Scratch | None) -> tuple[Tensor, Tensor]:
        """Moments [C+1,K,n] and scaled images [C,H*W,n]."""
        shape = self.source.shape
        rows = shape.dimensions // self.channels
        moments_shape = (self.channels + 1, rows, images)
        scaled_shape = (shape.channels, shape.pixels, images)
        if keep_in:
            return keep_in.take(moments_shape), keep_in.take(scaled_shape, self.dtype)
        moments = torch.empty(moments_shape, device=self.device)
        return moments, torch.empty(scaled_shape, device=self.device, dtype=self.dtype)
