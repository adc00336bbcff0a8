"""D(z, sigma) as a differentiable function of precisions and responses, in bounded memory.

With S[k,bn] = (z_bk - x_nk)^2 / 2 sigma^2 for query b and image n (paper eq. 7-10),

    E = Q S,   W = softmax over n of (log p - E),   D = sum_n x_n (R^T W)_n / (R^T 1).

Let g be the loss's gradient by D, h = g / (R^T 1) and V[k,bn] = h_bk x_nk (summed over the channels
that share k). Then, with F = R V and c[m,b] = sum_n W F,

    dL/dQ = -(W (F - c)) S^T,      dL/dR = W V^T - sum_b h_b D_b.

Nothing of size N x M x B is stored by autograd: `sweeps.py` passes over source and queries, forward
and back, in the sizes and blocks that are chosen here.
"""

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from fpmc_bench.engine.blocks import BlockReader
from fpmc_bench.engine.groups import query_columns
from fpmc_bench.engine.machine.placement import placed
from fpmc_bench.engine.machine.scratch import teach_allocator
from fpmc_bench.engine.machine.sizes import Demand, Limits, sizes_for
from fpmc_bench.engine.machine.tf32 import without_tf32
from fpmc_bench.engine.softmax import RunningSoftmax
from fpmc_bench.engine.sweeps import Group, Sweeps
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
    @without_tf32()
    def forward(ctx: Any, precision: Tensor, response: Tensor, comparison: Comparison) -> Tensor:
        sweeps = _sweeps(precision.detach(), response.detach(), comparison)
        mean = sweeps.posterior()
        ctx.save_for_backward(mean)
        # where a whole batch's weights fit, the backward pass finds them here
        ctx.sweeps = sweeps
        return mean.flatten(0, 1).T.reshape(comparison.queries.shape).clone()

    @staticmethod
    @once_differentiable
    @without_tf32()
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, Tensor | None, None]:
        (mean,) = ctx.saved_tensors
        by_precision, by_response, _ = ctx.needs_input_grad
        sweeps: Sweeps = ctx.sweeps
        columns = gradient.flatten(2).permute(1, 2, 0)
        gradients = sweeps.gradients(columns, mean, by_precision, by_response)
        sweeps.forget()
        return *gradients, None


def _sweeps(precision: Tensor, response: Tensor, comparison: Comparison) -> Sweeps:
    """Of a comparison, in the sizes that its budget affords."""
    queries, rows, sigma = comparison.queries, comparison.rows, comparison.sigma
    count, dtype, dimensions = len(queries), queries.dtype, queries[0].numel()
    tallest = max(len(precision), precision.shape[1], response.shape[1])
    # weights are kept, and what their gradient is multiplied with
    kept_bytes = 2 * tallest * dtype.itemsize
    demand = Demand(tallest, WORKING_ARRAYS, kept_bytes, KEPT_PART, block_rows=3 * dimensions)
    limits = Limits(comparison.budget_bytes)
    sizes = sizes_for(demand, len(rows), count, dtype, limits, on_gpu=queries.is_cuda)
    reader = BlockReader(
        placed(comparison.source, queries.device),
        sizes.images,
        queries.device,
        dtype,
        sigma,
        dimensions // response.shape[1],
        moments=False,
        rows=rows,
    )

    def group(start: int, columns: Tensor) -> Group:
        size = columns.shape[2]
        softmax = RunningSoftmax.start(len(precision), size, queries, dtype, floored=False)
        return Group(slice(start, start + size), columns, softmax)

    # queries whose weights are kept at a time; all of them where none can be kept
    together = sizes.kept_queries or count
    parts = [
        [
            group(first + index * sizes.queries, columns)
            for index, columns in enumerate(query_columns(part, sigma, sizes.queries))
        ]
        for first, part in zip(range(0, count, together), queries.split(together), strict=True)
    ]
    channels = dimensions // precision.shape[1]
    return Sweeps(precision, response, channels, reader, parts, sizes.kept_queries > 0)
