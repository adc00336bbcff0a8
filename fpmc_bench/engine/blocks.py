"""The source, a block of images at a time, laid out for sums of long vectors.

A block holds one row a pixel and one column an image. What distances are taken of is divided by
sqrt(2) sigma as it is read, so that a sum of squares is an energy, with no further pass over it.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from fpmc_bench.engine.machine.scratch import Scratch
from fpmc_bench.engine.machine.transpose import transpose_into
from fpmc_bench.fpmc.source import Source


@dataclass(frozen=True, eq=False)
class Block:
    """Some images as columns: what distances are taken of, and what is averaged.

    Images stored as codes are averaged as codes, less their middle, so that nothing is rounded
    before the sums; `value_unit` turns them into values.
    """

    scaled: Tensor
    """x / (sqrt(2) sigma), [C,H*W,n] in the dtype of the distances."""
    moments: Tensor
    """Values, and last their squares summed over the channels that share a row: [C+1,K,n]."""
    log_weights: Tensor | None
    """[n], or None for equal weights."""

    @property
    def images(self) -> int:
        return self.scaled.shape[-1]


FLOAT_BYTES = 4
ARRAYS_PER_BLOCK = 2


def distance_scale(sigma: float) -> float:
    """What differences are multiplied by, so that their squares sum to E / 2 sigma^2."""
    return 1 / (math.sqrt(2) * sigma)


def value_unit(source: Source) -> float:
    """What a block's values are to be multiplied by to lie in [-1,1]."""
    return source.scale if source.is_coded else 1.0


@dataclass(frozen=True, eq=False)
class BlockReader:
    """Reads a source as blocks of `images` for one noise level.

    `channels` share a row of what is averaged: all of them, or 1. `rows` are the images that are
    read, in this order; None: all of them.
    """

    source: Source
    images: int
    device: torch.device
    dtype: torch.dtype
    sigma: float
    channels: int
    rows: Tensor | None

    @classmethod
    def of_weight(
        cls,
        source: Source,
        images: int,
        device: torch.device,
        dtype: torch.dtype,
        sigma: float,
        channels: int,
    ) -> "BlockReader":
        """Of all images that have a weight."""
        rows = None
        if source.log_weights is not None:
            there = source.log_weights > -math.inf
            rows = None if bool(there.all()) else there.nonzero()[:, 0].cpu()
        return cls(source, images, device, dtype, sigma, channels, rows)

    def __len__(self) -> int:
        """Of the images that are read."""
        return len(self.source) if self.rows is None else len(self.rows)

    @property
    def count(self) -> int:
        """Of blocks."""
        return math.ceil(len(self) / self.images)

    @property
    def total_bytes(self) -> int:
        """What all blocks take that are kept."""
        rows = self.source.shape.dimensions // self.channels
        moments_bytes = (self.channels + 1) * rows * FLOAT_BYTES
        scaled_bytes = self.source.shape.dimensions * self.dtype.itemsize
        return len(self) * (moments_bytes + scaled_bytes)

    def only(self, columns: Tensor) -> "BlockReader":
        """Of the images that are columns `columns` [m] of all blocks side by side."""
        columns = columns.cpu()
        return replace(self, rows=columns if self.rows is None else self.rows[columns])

    def blocks(self, keep_in: Scratch | None = None) -> Iterator[Block]:
        """In order. A block is overwritten by the next unless there is somewhere to keep them."""
        buffers: tuple[Tensor, Tensor] | None = None
        for start in range(0, len(self), self.images):
            raw, weights = self._stored(start)
            if keep_in or buffers is None or buffers[0].shape[-1] != len(raw):
                buffers = self._buffers(len(raw), keep_in)
            moments, scaled = buffers
            values = moments[: self.channels]
            transpose_into(values.flatten(0, 1), raw.to(self.device).flatten(1))
            if self.source.is_coded:
                values.sub_(1 / self.source.scale)
            torch.mul(values[0], values[0], out=moments[self.channels])
            for channel in values[1:]:
                moments[self.channels].addcmul_(channel, channel)
            factor = value_unit(self.source) * distance_scale(self.sigma)
            torch.mul(values.view_as(scaled).to(scaled.dtype), factor, out=scaled)
            if weights is not None:
                weights = weights.to(self.device, self.dtype)
            yield Block(scaled, moments, weights)

    def _stored(self, start: int) -> tuple[Tensor, Tensor | None]:
        """Images as they are stored, with their log weights."""
        stop = min(start + self.images, len(self))
        weights = self.source.log_weights
        which = slice(start, stop) if self.rows is None else self.rows[start:stop]
        return self.source.stored(which), None if weights is None else weights[which]

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
