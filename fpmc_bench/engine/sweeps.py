"""The sweeps of a gradient over source and queries, for one Q and R; formulas: `gradient.py`.

Energies are computed again in each sweep, block by block. Weights are kept, for as many queries at
a time as the budget has room for, only to spare that work.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import chain

import torch
from torch import Tensor

from fpmc_bench.engine.blocks import Block, BlockReader
from fpmc_bench.engine.groups import Workspace, squares_of
from fpmc_bench.engine.softmax import RunningSoftmax


@dataclass(frozen=True, eq=False)
class Group:
    """A few queries that are compared with a block at once, and what is kept of them."""

    queries: slice
    scaled: Tensor
    """As columns, z / (sqrt(2) sigma): [C,H*W,b,1]."""
    softmax: RunningSoftmax
    kept: dict[tuple[str, int], Tensor] = field(default_factory=dict)
    """By what it is and the number of the block."""


@dataclass(frozen=True, eq=False)
class _Step:
    """A group of queries and the `index`-th block of the source."""

    group: Group
    index: int
    block: Block


@dataclass(eq=False)
class Sweeps:
    """Forward and back over all that `reader` reads, for Q and R [M,K], C' channels a row of R."""

    precision: Tensor
    response: Tensor
    precision_channels: int
    """That share a row of the precision."""
    reader: BlockReader
    parts: list[list[Group]]
    """Queries whose weights are kept at the same time, in groups."""
    keeps: bool
    """Whether any are."""

    def __post_init__(self) -> None:
        self.coverage = self.response.sum(0)
        self._workspace = Workspace()

    def posterior(self) -> Tensor:
        """The mean [C',K,B]; finds the normalisers on the way."""
        count = sum(group.scaled.shape[2] for group in chain(*self.parts))
        rows = len(self.coverage)
        mean = self.coverage.new_zeros(self.reader.channels, rows, count)
        for part in self._each_part():
            for step in self._steps(part):
                self._normalise(step)
            for step in self._steps(part):
                spread = _product(self.response.T, self._weights(step))
                sums = torch.einsum("kbn,ckn->ckb", spread, step.block.averaged)
                mean[..., step.group.queries] += sums
        return mean.div_(self.coverage[:, None])

    def gradients(
        self, gradient: Tensor, mean: Tensor, by_precision: bool, by_response: bool
    ) -> tuple[Tensor | None, Tensor | None]:
        """dL/dQ and dL/dR, each where asked for, from dL/dD `gradient` [C,H*W,B]."""
        share = gradient.reshape(mean.shape) / self.coverage[:, None]
        precision = torch.zeros_like(self.precision) if by_precision else None
        response = None
        if by_response:
            response = -(share * mean).sum((0, 2)).expand_as(self.response).clone()
        centre = mean.new_zeros(len(self.precision), mean.shape[-1])
        for part in self._each_part():
            if by_precision:
                for step in self._steps(part):
                    force = self._force(step, share)
                    sums = torch.linalg.vecdot(self._weights(step), force)
                    centre[:, step.group.queries] += sums
            for step in self._steps(part):
                weights = self._weights(step)
                if response is not None:
                    spread = self._spread(step, share)
                    response.addmm_(weights.flatten(1), spread.flatten(1).T)
                if precision is not None:
                    force = self._force(step, share).sub_(centre[:, step.group.queries, None])
                    squares = self._squares(step)
                    precision.addmm_(force.mul_(weights).flatten(1), squares.flatten(1).T, alpha=-1)
        return precision, response

    def forget(self) -> None:
        """All that is kept: a second backward pass computes it again."""
        for group in chain(*self.parts):
            group.kept.clear()

    def _each_part(self) -> Iterator[list[Group]]:
        """One after the other; what is kept of one makes room for the next."""
        for part in self.parts:
            yield part
            if len(self.parts) > 1:
                self.forget()

    def _steps(self, part: list[Group]) -> Iterator[_Step]:
        """Every group of queries of a part with every block; each block is read once."""
        for index, block in enumerate(self.reader.blocks()):
            for group in part:
                yield _Step(group, index, block)

    def _once(self, what: str, step: _Step, compute: Callable[[], Tensor]) -> Tensor:
        """Computed, or kept from the sweep before."""
        kept, key = step.group.kept, (what, step.index)
        if key in kept:
            return kept[key]
        found = compute()
        if self.keeps:
            kept[key] = found
        return found

    def _squares(self, step: _Step) -> Tensor:
        """(z - x)^2 / 2 sigma^2 [K,b,n], overwritten by the next."""
        z, x = step.group.scaled, step.block.scaled
        return squares_of(z, x, self.precision_channels, None, self._workspace)

    def _energies(self, step: _Step) -> Tensor:
        """E / 2 sigma^2 - log p: [M,b,n]."""
        energies = _product(self.precision, self._squares(step))
        weights = step.block.log_weights
        return energies if weights is None else energies.sub_(weights)

    def _normalise(self, step: _Step) -> None:
        """Add a block's weights, relative to the smallest energy so far, to the total."""
        softmax, kept = step.group.softmax, step.group.kept
        weights, _ = softmax.update(self._energies(step))
        if self.keeps:
            kept["relative", step.index], kept["minimum", step.index] = weights, softmax.minimum

    def _weights(self, step: _Step) -> Tensor:
        """W [M,b,n]."""

        def compute() -> Tensor:
            softmax, kept = step.group.softmax, step.group.kept
            if ("relative", step.index) not in kept:
                return softmax.relative(self._energies(step)).mul_(1 / softmax.total[..., None])
            minimum = kept.pop(("minimum", step.index))
            scale = (softmax.minimum - minimum).exp_() / softmax.total
            return kept.pop(("relative", step.index)).mul_(scale[..., None])

        return self._once("weights", step, compute)

    def _force(self, step: _Step, share: Tensor) -> Tensor:
        """F = R V: how much the loss grows with each weight, [M,b,n]."""
        return self._once("force", step, lambda: _product(self.response, self._spread(step, share)))

    def _spread(self, step: _Step, share: Tensor) -> Tensor:
        """V[k,b,n], h x summed over the channels that share k."""
        return torch.einsum("ckb,ckn->kbn", share[..., step.group.queries], step.block.averaged)


def _product(matrix: Tensor, columns: Tensor) -> Tensor:
    """matrix [M,K] on columns [K,b,n]: [M,b,n]."""
    product = matrix @ columns.flatten(1)
    return product.reshape(-1, *columns.shape[1:])
