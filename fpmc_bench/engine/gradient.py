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
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from fpmc_bench.engine.comparison import Block, Comparison, Sizes
from fpmc_bench.engine.elementwise import BITS_PER_NAT
from fpmc_bench.engine.machine.scratch import teach_allocator


def soft_posterior(precision: Tensor, response: Tensor, comparison: Comparison) -> Tensor:
    """Q [M,K] and R [M,K], non-negative, K = H*W (shared by channels) or D; returns [B,C,H,W].

    Differentiable in both; not in the queries. Compute dtype is that of the queries.
    """
    teach_allocator()
    mean: Tensor = _SoftPosterior.apply(precision, response, comparison)  # type: ignore[no-untyped-call]
    return mean


@dataclass(frozen=True, eq=False)
class _Step:
    """A group of queries and the `index`-th block of the source."""

    group: slice
    index: int
    block: Block


class _SoftPosterior(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, precision: Tensor, response: Tensor, comparison: Comparison) -> Tensor:
        passes = _Passes(precision, response, comparison)
        mean = passes.posterior()
        ctx.save_for_backward(mean)
        # where a whole batch's weights fit, the backward pass finds them here
        ctx.passes = passes
        return _as_images(mean, comparison)

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


class _Passes:
    """The sweeps over queries and source for one Q and R."""

    def __init__(self, precision: Tensor, response: Tensor, comparison: Comparison) -> None:
        self.precision, self.response = precision.detach(), response.detach()
        self.comparison = comparison
        dimensions = comparison.queries[0].numel()
        self.precision_channels = dimensions // precision.shape[1]
        self.response_channels = dimensions // response.shape[1]
        rows = max(len(precision), precision.shape[1], response.shape[1])
        self.sizes: Sizes = comparison.sizes(rows)
        self.coverage = self.response.sum(0)
        ceiling = torch.finfo(comparison.queries.dtype).max
        self.minimum = comparison.queries.new_full(
            (len(precision), len(comparison.queries)), ceiling
        )
        self.total = torch.zeros_like(self.minimum)
        self._kept: dict[tuple[str, int, int], Tensor] = {}
        self._keeps_all = self.sizes.kept_queries >= len(comparison.queries)

    def posterior(self) -> Tensor:
        """The mean [C',K,B]; finds the normalisers on the way."""
        queries = self.comparison.queries
        mean = queries.new_zeros(self.response_channels, self.response.shape[1], len(queries))
        for part in self._parts():
            for step in self._steps(part):
                self._normalise(step)
            for step in self._steps(part):
                spread = _product(self.response.T, self._weights(step))
                mean[..., step.group] += torch.einsum("kbn,ckn->ckb", spread, self._values(step))
            self._end_part()
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
        centre = torch.zeros_like(self.total)
        for part in self._parts():
            if by_precision:
                for step in self._steps(part):
                    force = self._force(step, share)
                    centre[:, step.group] += torch.linalg.vecdot(self._weights(step), force)
            for step in self._steps(part):
                weights = self._weights(step)
                if response is not None:
                    spread = self._spread(step, share)
                    response.addmm_(weights.flatten(1), spread.flatten(1).T)
                if precision is not None:
                    force = self._force(step, share).sub_(centre[:, step.group, None])
                    squares = self._squares(step)
                    precision.addmm_(force.mul_(weights).flatten(1), squares.flatten(1).T, alpha=-1)
            self._end_part()
        return precision, response

    def forget(self) -> None:
        self._kept.clear()

    def _parts(self) -> Iterator[range]:
        """Queries whose weights are kept at a time; all of them where none can be kept."""
        count = len(self.comparison.queries)
        size = self.sizes.kept_queries or count
        for start in range(0, count, size):
            yield range(start, min(start + size, count))

    def _end_part(self) -> None:
        if not self._keeps_all:
            self._kept.clear()

    def _steps(self, part: range) -> Iterator[_Step]:
        """Every group of queries of a part with every block; each block is read once."""
        for index, block in enumerate(self.comparison.blocks(self.sizes.images)):
            for start in range(part.start, part.stop, self.sizes.queries):
                stop = min(start + self.sizes.queries, part.stop)
                yield _Step(slice(start, stop), index, block)

    def _once(self, what: str, step: _Step, compute: Callable[[], Tensor]) -> Tensor:
        """Computed, or kept from the sweep before."""
        key = (what, step.group.start, step.index)
        if key in self._kept:
            return self._kept[key]
        found = compute()
        if self.sizes.kept_queries:
            self._kept[key] = found
        return found

    def _squares(self, step: _Step) -> Tensor:
        return self.comparison.squares(step.group, step.block, self.precision_channels)

    def _energies(self, step: _Step) -> Tensor:
        """E / 2 sigma^2 - log p: [M,b,n]."""
        energies = _product(self.precision, self._squares(step))
        weights = step.block.log_weights
        return energies if weights is None else energies.sub_(weights)

    def _normalise(self, step: _Step) -> None:
        """Add a block's weights, relative to the smallest energy so far, to the total."""
        energies = self._energies(step)
        before = self.minimum[:, step.group]
        minimum = torch.minimum(before, energies.amin(2))
        total = self.total[:, step.group] * (minimum - before).exp()
        weights = _relative(energies, minimum)
        self.total[:, step.group] = total + weights.sum(2)
        self.minimum[:, step.group] = minimum
        if self.sizes.kept_queries:
            key = (step.group.start, step.index)
            self._kept["relative", *key] = weights
            self._kept["minimum", *key] = minimum

    def _weights(self, step: _Step) -> Tensor:
        """W [M,b,n]."""

        def compute() -> Tensor:
            minimum, total = self.minimum[:, step.group], self.total[:, step.group]
            key = (step.group.start, step.index)
            if ("relative", *key) not in self._kept:
                return _relative(self._energies(step), minimum).mul_(1 / total[..., None])
            scale = (minimum - self._kept.pop(("minimum", *key))).exp_() / total
            return self._kept.pop(("relative", *key)).mul_(scale[..., None])

        return self._once("weights", step, compute)

    def _force(self, step: _Step, share: Tensor) -> Tensor:
        """F = R V: how much the loss grows with each weight, [M,b,n]."""
        return self._once("force", step, lambda: _product(self.response, self._spread(step, share)))

    def _spread(self, step: _Step, share: Tensor) -> Tensor:
        """V[k,b,n], h x summed over the channels that share k."""
        return torch.einsum("ckb,ckn->kbn", share[..., step.group], self._values(step))

    def _values(self, step: _Step) -> Tensor:
        """Images [C',K,n] with as many channels as share a row of the response."""
        values = step.block.values
        return values.reshape(self.response_channels, -1, values.shape[-1])


def _product(matrix: Tensor, columns: Tensor) -> Tensor:
    product = matrix @ columns.flatten(1)
    return product.reshape(-1, *columns.shape[1:])


def _relative(energies: Tensor, minimum: Tensor) -> Tensor:
    """exp(minimum - energies), in the place of the energies [M,b,n]."""
    return energies.sub_(minimum[..., None]).mul_(-BITS_PER_NAT).exp2_()


def _as_images(columns: Tensor, comparison: Comparison) -> Tensor:
    """[C',K,B] -> [B,C,H,W]."""
    return columns.flatten(0, 1).T.reshape(comparison.queries.shape).clone()
