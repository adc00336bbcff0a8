"""Queries against a part of the source, in blocks that a memory budget affords.

Differences are divided by sqrt(2) sigma as they are read, so that filtered sums of their squares
are energies E / 2 sigma^2. Everything has one row a pixel (or a dimension) and one column a
(query, image) pair, and the dtype of the queries.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

from torch import Tensor

from fpmc_bench.engine.blocks import distance_scale
from fpmc_bench.engine.elementwise import squared_differences
from fpmc_bench.engine.groups import Workspace
from fpmc_bench.engine.machine.placement import placed
from fpmc_bench.engine.machine.sizes import CACHED_VALUES, GPU_VALUES
from fpmc_bench.fpmc.source import Source

WORKING_ARRAYS = 8
"""Of one row an estimator or a pixel and one column a pair, that exist at the same time."""
KEPT_PART = 0.4
"""Of the budget, for weights: half is for working arrays, and allocators want some room."""


@dataclass(frozen=True, eq=False)
class Block:
    """Some images as columns [C,H*W,n], also divided by sqrt(2) sigma; log weights [n] or None."""

    values: Tensor
    scaled: Tensor
    log_weights: Tensor | None


@dataclass(frozen=True, eq=False)
class Comparison:
    """Noisy images `queries` [B,C,H,W] at `sigma` against images `rows` [N] of a source.

    `budget_bytes` bounds the working memory beside the source.
    """

    source: Source
    rows: Tensor
    queries: Tensor
    sigma: float
    budget_bytes: int

    @cached_property
    def _columns(self) -> Tensor:
        """The queries as columns divided by sqrt(2) sigma, [C,H*W,B]."""
        columns = self.queries.flatten(2).permute(1, 2, 0) * distance_scale(self.sigma)
        return columns.contiguous()

    @cached_property
    def _workspace(self) -> Workspace:
        return Workspace()

    def sizes(self, rows: int) -> "Sizes":
        """For arrays of `rows` rows (the larger of M and K)."""
        width = self.queries.dtype.itemsize
        values = GPU_VALUES if self.queries.is_cuda else CACHED_VALUES
        affordable = self.budget_bytes // 2 // (WORKING_ARRAYS * rows * width)
        pairs = max(1, min(values // rows, affordable))
        images = min(len(self.rows), pairs)
        together = max(1, min(len(self.queries), pairs // images))
        # weights, and what their gradient is multiplied with
        kept_bytes = 2 * rows * len(self.rows) * width
        return Sizes(images, together, int(self.budget_bytes * KEPT_PART) // kept_bytes)

    def blocks(self, images: int) -> Iterator[Block]:
        """The rows in order, `images` at a time."""
        queries, weights = self.queries, self.source.log_weights
        source = placed(self.source, queries.device)
        for rows in self.rows.split(images):
            stored = source.stored(rows).to(queries.device)
            values = source.to_values(stored, queries.dtype).flatten(2).permute(1, 2, 0)
            values = values.contiguous()
            found = None if weights is None else weights[rows].to(queries)
            yield Block(values, values * distance_scale(self.sigma), found)

    def squares(self, queries: slice, block: Block, channels: int) -> Tensor:
        """(z - x)^2 / 2 sigma^2 with `channels` summed: [K,b,n], K = C*H*W / channels.

        Overwritten by the next.
        """
        z, x = self._columns[..., queries, None], block.scaled
        shape = (x.shape[0] * x.shape[1] // channels, z.shape[2], x.shape[2])
        return squared_differences(z, x, channels, None, self._workspace.pair(shape, x))


@dataclass(frozen=True)
class Sizes:
    """Images and queries in one working array, and queries whose weights the budget can keep."""

    images: int
    queries: int
    kept_queries: int
