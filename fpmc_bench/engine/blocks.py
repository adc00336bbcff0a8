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
    """Some images as columns: what distances are taken of, and what is averaged."""

    scaled: Tensor
    """x / (sqrt(2) sigma), [C,H*W,n] in the dtype of the distances."""
    averaged: Tensor
    """[A,K,n], as `BlockReader.moments` says."""
    log_weights: Tensor | None
    """[n], or None for equal weights."""

    @property
    def images(self) -> int:
        return self.scaled.shape[-1]


FLOAT_BYTES = 4
ARRAYS_PER_BLOCK = 2


def distance_scale(sigma: float) -> float:
    """1 / (sqrt(2) sigma): the squares of differences times that sum to E / 2 sigma^2."""
    return 1 / (math.sqrt(2) * sigma)


def value_unit(source: Source) -> float:
    """What moments of stored images are to be multiplied by to be those of values in [-1,1]."""
    return source.scale if source.is_coded else 1.0


@dataclass(frozen=True, eq=False)
class BlockReader:
    """Reads a source as blocks of `images` for one noise level.

    `dtype` is that of distances. `channels` share a row of what is averaged, [A,K,n] with
    K = C*H*W / channels: all of them, or 1. `rows` are the images that are read, in this order;
    None: all of them.
    """

    source: Source
    images: int
    device: torch.device
    dtype: torch.dtype
    sigma: float
    channels: int
    moments: bool
    """Whether float32 moments are averaged: images as they are stored, codes less their middle, so
    that nothing is rounded before the sums, and last the squares of all channels that share a row
    (`value_unit` turns them into values). Otherwise values in [-1,1], in the dtype of distances."""
    rows: Tensor | None = None

    def of_weight(self) -> "BlockReader":
        """The reader of all images of the source that have a weight."""
        if self.source.log_weights is None:
            return self
        there = self.source.log_weights > -math.inf
        return self if bool(there.all()) else replace(self, rows=there.nonzero()[:, 0])

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
        averaged, scaled = self._shapes(len(self))
        averaged_bytes = math.prod(averaged) * self._averaged_dtype.itemsize
        return averaged_bytes + math.prod(scaled) * self.dtype.itemsize

    def only(self, columns: Tensor) -> "BlockReader":
        """The reader of the images that are columns `columns` [m] of all blocks side by side."""
        columns = columns.cpu()
        return replace(self, rows=columns if self.rows is None else self.rows[columns])

    def blocks(self, keep_in: Scratch | None = None) -> Iterator[Block]:
        """In order. Each overwrites the one before, unless they are kept in memory of `keep_in`."""
        buffers: tuple[Tensor, Tensor] | None = None
        weights = self._log_weights()
        for start in range(0, len(self), self.images):
            raw = self._stored(start)
            if keep_in or buffers is None or buffers[0].shape[-1] != len(raw):
                buffers = self._buffers(len(raw), keep_in)
            averaged, scaled = buffers
            self._fill(averaged, scaled, raw.to(self.device).flatten(1))
            own = None if weights is None else weights[start : start + len(raw)]
            yield Block(scaled, averaged, own)

    def _fill(self, averaged: Tensor, scaled: Tensor, stored: Tensor) -> None:
        """The arrays of a block from images as they are `stored`, [n,D]."""
        values, unit = averaged[: self.channels], 1.0
        transpose_into(values.flatten(0, 1), stored)
        if self.moments:
            unit = value_unit(self.source)
            if self.source.is_coded:
                values.sub_(1 / self.source.scale)
            squares = averaged[self.channels]
            torch.mul(values[0], values[0], out=squares)
            for channel in values[1:]:
                squares.addcmul_(channel, channel)
        elif self.source.is_coded:
            values.mul_(self.source.scale).sub_(1)
        factor = unit * distance_scale(self.sigma)
        torch.mul(values.view_as(scaled).to(scaled.dtype), factor, out=scaled)

    def _log_weights(self) -> Tensor | None:
        """Of all images that are read, sent to the device at once."""
        weights = self.source.log_weights
        if weights is None:
            return None
        weights = weights if self.rows is None else weights[self.rows]
        return weights.to(self.device, self.dtype)

    def _stored(self, start: int) -> Tensor:
        """Images of a block as they are stored."""
        stop = min(start + self.images, len(self))
        return self.source.stored(
            slice(start, stop) if self.rows is None else self.rows[start:stop]
        )

    def _buffers(self, images: int, keep_in: Scratch | None) -> tuple[Tensor, Tensor]:
        """What is averaged [A,K,n], and scaled images [C,H*W,n]."""
        averaged, scaled = self._shapes(images)
        if keep_in:
            return keep_in.take(averaged, self._averaged_dtype), keep_in.take(scaled, self.dtype)
        return (
            torch.empty(averaged, device=self.device, dtype=self._averaged_dtype),
            torch.empty(scaled, device=self.device, dtype=self.dtype),
        )

    def _shapes(self, images: int) -> tuple[tuple[int, int, int], tuple[int, int, int]]:
        shape = self.source.shape
        rows = shape.dimensions // self.channels
        averaged = (self.channels + self.moments, rows, images)
        return averaged, (shape.channels, shape.pixels, images)

    @property
    def _averaged_dtype(self) -> torch.dtype:
        return torch.float32 if self.moments else self.dtype
