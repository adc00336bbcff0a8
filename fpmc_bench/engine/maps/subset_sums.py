"""A binary matrix by shared partial sums: what rows have in common is added up once.

The columns are cut into tiles of four neighbours. A row meets a tile in one of fifteen patterns;
the patterns that occur are summed first (the method of the four Russians: Arlazarov et al. 1970),
and then a row is one addition a tile it touches, instead of one a column. That is two to three
times fewer for the blobs that masks are, and never more than the matrix has ones.
"""

from dataclasses import dataclass
from itertools import pairwise
from typing import ClassVar

import torch
from torch import Tensor

from fpmc_bench.engine.maps.bags import Bags
from fpmc_bench.engine.maps.base import LinearMap

TILE = 4
TABLE_ROWS = 3072
"""Patterns summed at a time: with 64 columns a table of 768 KiB, which stays in the cache."""
WORTHWHILE = 1.5
"""Partial sums are shared where there are this many times fewer additions: two stages also write
and read a table."""


@dataclass(frozen=True, eq=False)
class _Block:
    """Some tiles: the sums of their patterns, and each row's choice among those.

    `patterns` None: rows are sums of columns as they are.
    """

    patterns: Bags | None
    rows: Bags

    @property
    def additions(self) -> int:
        return self.rows.additions + (self.patterns.additions if self.patterns else 0)

    def sum(self, values: Tensor) -> Tensor:
        return self.rows.sum(self.patterns.sum(values) if self.patterns else values)


class SubsetSums(LinearMap):
    """`matrix` [M,K] boolean; `order` [K] lists the columns so that neighbours make a tile."""

    path: ClassVar[str] = "subset-sums"

    def __init__(self, matrix: Tensor, order: Tensor) -> None:
        self.estimators, self.columns = matrix.shape
        self._apply = _plan(matrix, order)
        self._adjoint = _plan(matrix.T, order if len(order) == len(matrix) else None)
        self.operations = sum(block.additions for block in self._apply)
        longest = max(block.rows.longest for block in self._apply)
        self.terms = longest // len(self._apply)  # the blocks' errors are independent

    def apply(self, values: Tensor) -> Tensor:
        return _sums(self._apply, values)

    def adjoint(self, weights: Tensor) -> Tensor:
        return _sums(self._adjoint, weights)


def _sums(blocks: list[_Block], values: Tensor) -> Tensor:
    first, *others = blocks
    total = first.sum(values)
    for block in others:
        total += block.sum(values)
    return total


def _plan(matrix: Tensor, order: Tensor | None) -> list[_Block]:
    """Cut the columns into tiles, and the tiles into blocks of at most TABLE_ROWS patterns."""
    columns = matrix.shape[1]
    padding = -columns % TILE
    order = torch.arange(columns, device=matrix.device) if order is None else order
    # a column that is not there belongs to no pattern; its index is never used
    order = torch.nn.functional.pad(order, (0, padding))
    tiles = torch.nn.functional.pad(matrix[:, order[:columns]], (0, padding))
    bits = 2 ** torch.arange(TILE, device=matrix.device)
    codes = (tiles.unflatten(1, (-1, TILE)) * bits).sum(2)  # [M,T]
    used = torch.zeros(codes.shape[1], 2**TILE, dtype=torch.bool, device=matrix.device)
    used[torch.arange(codes.shape[1], device=matrix.device), codes] = True
    used[:, 0] = False  # the empty pattern adds nothing
    block_of_tile = (used.sum(1).cumsum(0) - 1).clamp(min=0) // TABLE_ROWS
    cuts = [0, *block_of_tile.bincount().cumsum(0).tolist()]
    members = order.reshape(-1, TILE)
    blocks = [
        _block(codes[:, a:b], used[a:b], members[a:b], bits) for a, b in pairwise(cuts) if b > a
    ]
    direct = _Block(None, Bags.of(matrix))
    shared = sum(block.additions for block in blocks)
    return blocks if direct.additions > WORTHWHILE * shared else [direct]


def _block(codes: Tensor, used: Tensor, members: Tensor, bits: Tensor) -> _Block:
    """codes [M,T] the pattern of each row in each tile, members [T,TILE] the tiles' columns."""
    tile, code = used.nonzero().unbind(1)
    inside = (code[:, None] & bits) > 0
    patterns = Bags.ragged(members[tile][inside], inside.sum(1))
    number = used.flatten().cumsum(0).reshape(used.shape) - 1  # of each pattern in the table
    touched = codes > 0
    chosen = number[torch.arange(len(used), device=used.device), codes]
    return _Block(patterns, Bags.ragged(chosen[touched], touched.sum(1)))
