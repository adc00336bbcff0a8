"""Sums of chosen rows: what a product with a binary matrix is when nothing is multiplied.

torch's `embedding_bag` adds up listed rows of a table with vector instructions, on the processor
and on a GPU, at a few cycles for sixteen numbers. So a binary matrix costs what it has ones, and a
square of side p two sums of p rows a pixel, whatever the image.
"""

import math
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import embedding_bag

FLOAT32_BITS = 24


@dataclass(frozen=True, eq=False)
class Bags:
    """For each of M sums the rows it adds up, as int32 `indices`, cut at `offsets` [M+1]."""

    indices: Tensor
    offsets: Tensor

    @classmethod
    def of(cls, matrix: Tensor) -> "Bags":
        """The bags of a boolean matrix [M,K], on its device."""
        return cls.ragged(matrix.nonzero()[:, 1], matrix.sum(1))

    @classmethod
    def ragged(cls, indices: Tensor, counts: Tensor) -> "Bags":
        """Consecutive runs of `indices`, `counts` [M] of them a bag."""
        offsets = torch.zeros(len(counts) + 1, dtype=torch.int32, device=counts.device)
        torch.cumsum(counts, 0, dtype=torch.int32, out=offsets[1:])
        return cls(indices.int(), offsets)

    @property
    def additions(self) -> int:
        """Rows of all bags together: what one column of `sum` takes."""
        return len(self.indices)

    @property
    def longest(self) -> int:
        """Rows of the largest bag."""
        return int(self.offsets.diff().max()) if len(self.offsets) > 1 else 0

    def sum(self, rows: Tensor) -> Tensor:
        """The sums [M,P] of rows [K,P], float32 or float64 like those."""
        if rows.dtype == torch.float64 and not rows.is_cuda:
            return self._wide_sum(rows)
        return embedding_bag(
            self.indices,
            rows,
            self.offsets,
            mode="sum",
            include_last_offset=True,
        )

    def _wide_sum(self, rows: Tensor) -> Tensor:
        """float64 sums by a processor's instructions for float32, which are twenty times as fast.

        Rows are split into a part so coarse that float32 adds it up without rounding, and the
        rest, which is 2^-23 of it or smaller times the number of rows.
        """
        largest = float(rows.abs().max()) if rows.numel() else 0.0
        if largest == 0:
            return torch.zeros_like(rows[:1]).expand(len(self.offsets) - 1, -1).clone()
        step = 2.0 ** (math.ceil(math.log2(largest * max(self.longest, 1))) - FLOAT32_BITS)
        coarse = (rows / step).round_().mul_(step)
        fine = (rows - coarse).float()
        return self.sum(coarse.float()).double().add_(self.sum(fine))
