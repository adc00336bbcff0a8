"""D(z, sigma) of an FPMC with any precision and response, in memory that follows a budget.

For a query put S[k,n] = (z_k - x_{n,k})^2 / 2 sigma^2, one row a pixel k and one column a source
image n. Then E = Q S, W = softmax over n of (log p - E) and D = sum_n x_n (R^T W)_n / (R^T 1)
(paper eq. 7-10 in matrix form). Where R partitions the pixels each has one normaliser, and one
pass with a running minimum is enough. Otherwise a first pass finds the normalisers and a second
accumulates; the weights are kept in between where the budget has room, or else computed again.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from fpmc_bench.engine.blocks import Block, distance_scale, source_blocks
from fpmc_bench.engine.prepared import PreparedModel
from fpmc_bench.engine.sizes import Sizes
from fpmc_bench.engine.softmax import RunningSoftmax, relative_weights
from fpmc_bench.source import Source

CENTRED_SIGMA = 1.0
"""About twice the standard deviation of images in [-1,1]."""
CENTRE_IMAGES = 256
"""Whose mean stands for that of the source."""


@dataclass(frozen=True, eq=False)
class Posterior:
    """`mean` [B,C,H,W] float32, and what says how far rounding may have moved it.

    Of every estimator and query, [M,B]: the `minimum` energy as it was summed, how large it is in
    `full`, and the `total` weight of the source relative to that image. Of every row of the
    response's map and query, [K,B]: the `spread` of the values that were averaged, their standard
    deviations added over channels.
    """

    mean: Tensor
    minimum: Tensor
    full: Tensor
    total: Tensor
    spread: Tensor


@dataclass(eq=False)
class _Group:
    """A few queries that are compared with a block at once, and what they have gathered."""

    scaled: Tensor
    """[C,K,b,1]"""
    softmax: RunningSoftmax
    total: Tensor
    """Weighted sums of images, [C,K,b] float32."""
    squares: Tensor
    """Weighted sums of their squares, [K,b] float32."""
    offset: Tensor | None
    """What is taken off every squared difference, [K,b,1]: nothing that a softmax could see."""
    kept: list[tuple[Tensor, Tensor]]
    """Weights [M,b,n] of each block, with the minimum [M,b] that they are relative to."""


def stream(
    prepared: PreparedModel, source: Source, z: Tensor, sigma: float, sizes: Sizes
) -> Posterior:
    """z [B,C,H,W], in the dtype that distances are to be computed in."""
    if prepared.one_pass:
        return _collect(prepared, _one_pass(prepared, source, z, sigma, sizes), z)
    parts = [
        _collect(prepared, _two_passes(prepared, source, part, sigma, sizes), part)
        for part in z.split(sizes.kept_queries or len(z))
    ]
    return Posterior(
        torch.cat([part.mean for part in parts]),
        torch.cat([part.minimum for part in parts], dim=1),
        torch.cat([part.full for part in parts], dim=1),
        torch.cat([part.total for part in parts], dim=1),
        torch.cat([part.spread for part in parts], dim=1),
    )


def _one_pass(
    prepared: PreparedModel, source: Source, z: Tensor, sigma: float, sizes: Sizes
) -> list[_Group]:
    groups = _groups(prepared, source, z, sigma, sizes)
    for block in source_blocks(source, sizes.images, z.device, z.dtype, sigma):
        for group in groups:
            weights, factor = group.softmax.update(_energies(prepared, group, block))
            factor = prepared.response.adjoint(factor)
            group.total *= factor
            group.squares *= factor
            _gather(prepared, group, weights, block)
    for group in groups:
        weight = prepared.response.adjoint(group.softmax.total)
        group.total /= weight
        group.squares /= weight
    return groups


def _two_passes(
    prepared: PreparedModel, source: Source, z: Tensor, sigma: float, sizes: Sizes
) -> list[_Group]:
    groups = _groups(prepared, source, z, sigma, sizes)
    keep = sizes.kept_queries > 0
    for block in source_blocks(source, sizes.images, z.device, z.dtype, sigma):
        for group in groups:
            weights, _ = group.softmax.update(_energies(prepared, group, block))
            if keep:
                group.kept.append((weights, group.softmax.minimum))
    blocks = source_blocks(source, sizes.images, z.device, z.dtype, sigma)
    for index, block in enumerate(blocks):
        for group in groups:
            reference = group.softmax.minimum
            if keep:
                weights, minimum = group.kept[index]
                share = (reference - minimum).exp().float() / group.softmax.total
            else:
                weights = relative_weights(_energies(prepared, group, block), reference)
                share = 1 / group.softmax.total
            _gather(prepared, group, weights.mul_(share[..., None]), block)
    for group in groups:
        group.total /= prepared.coverage[:, None]
        group.squares /= prepared.coverage[:, None]
    return groups


def _groups(
    prepared: PreparedModel, source: Source, z: Tensor, sigma: float, sizes: Sizes
) -> list[_Group]:
    """Queries as columns: [B,C,H,W] -> a list of [C,K,b,1]."""
    columns = z.flatten(2).permute(1, 2, 0) * distance_scale(sigma)
    shape = (prepared.response_channels, prepared.response.columns)
    parts = [part[..., None].contiguous() for part in columns.split(sizes.queries, dim=-1)]
    return [
        _Group(
            part,
            RunningSoftmax.start(prepared.model.estimators, part.shape[2], z),
            torch.zeros(*shape, part.shape[2], device=z.device),
            torch.zeros(shape[1], part.shape[2], device=z.device),
            _offset(prepared, source, part, sigma),
            [],
        )
        for part in parts
    ]


def _offset(prepared: PreparedModel, source: Source, z: Tensor, sigma: float) -> Tensor | None:
    """Where noise is larger than images, what they all have in common: z's distance to their mean.

    Without it a sum of a thousand terms is nearly the same for every image, and rounded by as
    much as images differ. At low noise the nearest image is far below the mean instead.
    """
    if sigma < CENTRED_SIGMA:
        return None
    sample, _ = source.chunk(0, min(len(source), CENTRE_IMAGES), z.device, z.dtype)
    mean = sample.mean(0).flatten(1) * distance_scale(sigma)
    return _squared_differences(prepared.precision_channels, z, mean[..., None], None)


def _energies(prepared: PreparedModel, group: _Group, block: Block) -> Tensor:
    """E / 2 sigma^2 - log p: [M,b,n]."""
    squares = _squared_differences(
        prepared.precision_channels, group.scaled, block.scaled, group.offset
    )
    energies = prepared.precision.apply(squares.flatten(1)).reshape(-1, *squares.shape[1:])
    return energies if block.log_weights is None else energies - block.log_weights


def _squared_differences(channels: int, z: Tensor, x: Tensor, offset: Tensor | None) -> Tensor:
    """(z - x)^2 summed over the channels that share a row: [C,K,b,1], [C,K,n] -> [K,b,n]."""
    z = z.reshape(channels, -1, z.shape[2], 1)
    x = x.reshape(channels, z.shape[1], 1, -1)
    difference = z[0] - x[0]
    if offset is None:
        total = difference.square_()
    else:
        total = torch.addcmul(-offset, difference, difference)
    for query, images in zip(z[1:], x[1:], strict=True):
        difference = query - images
        total.addcmul_(difference, difference)
    return total


def _gather(prepared: PreparedModel, group: _Group, weights: Tensor, block: Block) -> None:
    """Add sum_n x_n (R^T w_n), and the same of x_n^2: weights [M,b,n]."""
    spread = prepared.response.adjoint(weights.flatten(1)).reshape(-1, *weights.shape[1:])
    images = block.values.reshape(prepared.response_channels, len(spread), -1)
    group.total += torch.einsum("kbn,ckn->ckb", spread, images)
    squares = block.squares if prepared.response_channels > 1 else images[0].square()
    group.squares += torch.einsum("kbn,kn->kb", spread, squares)


def _collect(prepared: PreparedModel, groups: list[_Group], z: Tensor) -> Posterior:
    means = (group.total.reshape(z.shape[1], -1, group.total.shape[-1]) for group in groups)
    mean = torch.cat(list(means), dim=-1).permute(2, 0, 1).reshape(z.shape)
    variances = [group.squares - group.total.square().sum(0) for group in groups]
    minimum = torch.cat([group.softmax.minimum for group in groups], dim=1)
    full = minimum
    offsets = [group.offset for group in groups if group.offset is not None]
    if offsets:
        full = minimum + prepared.precision.apply(torch.cat(offsets, dim=1).flatten(1))
    return Posterior(
        mean,
        minimum,
        full,
        torch.cat([group.softmax.total for group in groups], dim=1),
        torch.cat(variances, dim=1).clamp(min=0).sqrt(),
    )
