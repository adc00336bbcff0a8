"""D(z, sigma) as a differentiable function of precisions and responses, in bounded memory.

With S[k,bn] = (z_bk - x_nk)^2 / 2 sigma^2 for query b and image n (paper eq. 7-10),

    E = Q S,   W = softmax over n of (log p - E),   D = sum_n x_n (R^T W)_n / (R^T 1).

Let g be the loss's gradient by D, h = g / (R^T 1) and V[k,bn] = h_bk x_nk (summed over the channels
that share k). Then, with F = R V and c[m,b] = sum_n W F,

    dL/dQ = -(W (F - c)) S^T,      dL/dR = W V^T - sum_b h_b D_b.

Nothing of size N x M x B is stored by autograd: the backward pass computes energies again, block
by block. Weights are kept, for as many queries at a time as the budget has room for, only to spare
that work.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import chain
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from fpmc_bench.engine.blocks import Block, BlockReader
from fpmc_bench.engine.groups import Workspace, query_columns, squares_of
from fpmc_bench.engine.machine.placement import placed
from fpmc_bench.engine.machine.scratch import teach_allocator
from fpmc_bench.engine.machine.sizes import Demand, Limits, sizes_for
from fpmc_bench.engine.softmax import RunningSoftmax
from fpmc_bench.fpmc.source import Source

WORKING_ARRAYS = 8
"""Of one row an estimator or a pixel and one column a pair, that exist at the same time."""
KEPT_PART = 0.4
"""Of the budget, for weights: half is for working arrays, and allocators want some room."""


@dataclass(frozen=True, eq=False)
class Comparison:
    """Noisy images `queries` [B,C,H,W] at `sigma` against images `rows` [N] of a source.

    `rows` are indices on the CPU. `budget_bytes` bounds the working memory beside the source.
    """

    source: Source
    rows: Tensor
    queries: Tensor
    sigma: float
    budget_bytes: int


def soft_posterior(precision: Tensor, response: Tensor, comparison: Comparison) -> Tensor:
    """D(z, sigma) of the comparison's queries, [B,C,H,W], differentiable in Q and R.

    `precision` Q and `response` R [M,K] are non-negative, K = H*W (shared by channels) or D each.
    Queries get no gradient; their dtype is that of all arithmetic.
    """
    teach_allocator()
    mean: Tensor = _SoftPosterior.apply(precision, response, comparison)  # type: ignore[no-untyped-call]
    return mean


class _SoftPosterior(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, precision: Tensor, response: Tensor, comparison: Comparison) -> Tensor:
        passes = _Passes(precision, response, comparison)
        mean = passes.posterior()
        ctx.save_for_backward(mean)
        # where a whole batch's weights fit, the backward pass finds them here
        ctx.passes = passes
        return mean.flatten(0, 1).T.reshape(comparison.queries.shape).clone()

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, Tensor | None, None]:
        (mean,) = ctx.saved_tensors
        by_precision, by_response, _ = ctx.needs_input_grad
        passes: _Passes = ctx.passes
        columns = gradient.flatten(2).permute(1, 2, 0)
        gradients = passes.gradients(columns, mean, by_precision, by_response)
        passes.forget()
        return *gradients, None


@dataclass(frozen=True, eq=False)
class _Group:
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

    group: _Group
    index: int
    block: Block


class _Passes:
    """The sweeps over queries and source for one Q and R."""

    def __init__(self, precision: Tensor, response: Tensor, comparison: Comparison) -> None:
        self.precision, self.response = precision.detach(), response.detach()
        self.coverage = self.response.sum(0)
        queries, rows = comparison.queries, comparison.rows
        count, dtype, dimensions = len(queries), queries.dtype, queries[0].numel()
        tallest = max(len(precision), precision.shape[1], response.shape[1])
        # weights are kept, and what their gradient is multiplied with
        demand = Demand(tallest, WORKING_ARRAYS, 2 * tallest * dtype.itemsize, KEPT_PART)
        limits = Limits(comparison.budget_bytes)
        sizes = sizes_for(demand, len(rows), count, dtype, limits, on_gpu=queries.is_cuda)
        self.keeps = sizes.kept_queries > 0
        self.precision_channels = dimensions // precision.shape[1]
        self.reader = BlockReader(
            placed(comparison.source, queries.device),
            sizes.images,
            queries.device,
            dtype,
            comparison.sigma,
            dimensions // response.shape[1],
            moments=False,
            rows=rows,
        )
        self.workspace = Workspace()
        # queries whose weights are kept at a time; all of them where none can be kept
        together = sizes.kept_queries or count
        self.parts = [
            self._groups(comparison, range(count)[start : start + together], sizes.queries)
            for start in range(0, count, together)
        ]

    def _groups(self, comparison: Comparison, part: range, size: int) -> list[_Group]:
        """The queries of a part, `size` at a time."""
        z = comparison.queries[part.start : part.stop]
        groups: list[_Group] = []
        for columns in query_columns(z, comparison.sigma, size):
            start, queries = part.start + size * len(groups), columns.shape[2]
            softmax = RunningSoftmax.start(len(self.precision), queries, z, z.dtype, floored=False)
            groups.append(_Group(slice(start, start + queries), columns, softmax))
        return groups

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

    def _each_part(self) -> Iterator[list[_Group]]:
        """One after the other; what is kept of one makes room for the next."""
        for part in self.parts:
            yield part
            if len(self.parts) > 1:
                self.forget()

    def _steps(self, part: list[_Group]) -> Iterator[_Step]:
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
        return squares_of(z, x, self.precision_channels, None, self.workspace)

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
