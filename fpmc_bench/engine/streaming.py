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


@dataclass(frozen=True, eq=False)
class Posterior:
    """`mean` [B,C,H,W] float32, and `energy` [B]: of each query's worst-matched estimator, the
    energy of its best source image, which is what rounding is relative to."""

    mean: Tensor
    energy: Tensor


@dataclass(eq=False)
class _Group:
    """A few queries that are compared with a block at once, and what they have gathered."""

    scaled: Tensor
    """[C,K,b,1]"""
    softmax: RunningSoftmax
    total: Tensor
    """Weighted sums of images, [C,K,b] float32."""
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
        torch.cat([part.mean for part in parts]), torch.cat([part.energy for part in parts])
    )


def _one_pass(
    prepared: PreparedModel, source: Source, z: Tensor, sigma: float, sizes: Sizes
) -> list[_Group]:
    groups = _groups(prepared, z, sigma, sizes)
    for block in source_blocks(source, sizes.images, z.device, z.dtype, sigma):
        for group in groups:
            weights, factor = group.softmax.update(_energies(prepared, group, block))
            group.total *= prepared.response.adjoint(factor)
            group.total += _weighted(prepared, weights, block)
    for group in groups:
        group.total /= prepared.response.adjoint(group.softmax.total)
    return groups


def _two_passes(
    prepared: PreparedModel, source: Source, z: Tensor, sigma: float, sizes: Sizes
) -> list[_Group]:
    groups = _groups(prepared, z, sigma, sizes)
    keep = sizes.kept_queries > 0
    for block in source_blocks(source, sizes.images, z.device, z.dtype, sigma):
        for group in groups:
            weights, _ = group.softmax.update(_energies(prepared, group, block))
            if keep:
                group.kept.append((weights, group.softmax.minimum))
    blocks = source_blocks(source, sizes.images, z.device, z.dtype, sigma)
    for index, block in enumerate(blocks):
        for group in groups:
            normaliser = group.softmax.log_normaliser()
            if keep:
                weights, minimum = group.kept[index]
                weights *= (normaliser - minimum).exp().float()[..., None]
            else:
                weights = relative_weights(_energies(prepared, group, block), normaliser)
            group.total += _weighted(prepared, weights, block)
    for group in groups:
        group.total /= prepared.coverage[:, None]
    return groups


def _groups(prepared: PreparedModel, z: Tensor, sigma: float, sizes: Sizes) -> list[_Group]:
    """Queries as columns: [B,C,H,W] -> a list of [C,K,b,1]."""
    columns = z.flatten(2).permute(1, 2, 0) * distance_scale(sigma)
    shape = (prepared.response_channels, prepared.response.columns)
    return [
        _Group(
            part[..., None].contiguous(),
            RunningSoftmax.start(prepared.model.estimators, part.shape[-1], z),
            torch.zeros(*shape, part.shape[-1], device=z.device),
            [],
        )
        for part in columns.split(sizes.queries, dim=-1)
    ]


def _energies(prepared: PreparedModel, group: _Group, block: Block) -> Tensor:
    """E / 2 sigma^2 - log p: [M,b,n]."""
    squares = _squared_differences(prepared.precision_channels, group.scaled, block.scaled)
    energies = prepared.precision.apply(squares.flatten(1)).reshape(-1, *squares.shape[1:])
    return energies if block.log_weights is None else energies - block.log_weights


def _squared_differences(channels: int, z: Tensor, x: Tensor) -> Tensor:
    """(z - x)^2 summed over the channels that share a row: [C,K,b,1], [C,K,n] -> [K,b,n]."""
    z = z.reshape(channels, -1, z.shape[2], 1)
    x = x.reshape(channels, z.shape[1], 1, -1)
    total: Tensor | None = None
    for query, images in zip(z, x, strict=True):
        difference = query - images
        total = difference.square_() if total is None else total.addcmul_(difference, difference)
    assert total is not None
    return total


def _weighted(prepared: PreparedModel, weights: Tensor, block: Block) -> Tensor:
    """sum_n x_n (R^T w_n): weights [M,b,n] -> [C,K,b]."""
    spread = prepared.response.adjoint(weights.flatten(1)).reshape(-1, *weights.shape[1:])
    images = block.values.reshape(prepared.response_channels, len(spread), -1)
    return torch.einsum("kbn,ckn->ckb", spread, images)


def _collect(prepared: PreparedModel, groups: list[_Group], z: Tensor) -> Posterior:
    means = (group.total.reshape(z.shape[1], -1, group.total.shape[-1]) for group in groups)
    mean = torch.cat(list(means), dim=-1).permute(2, 0, 1).reshape(z.shape)
    energy = torch.cat([group.softmax.minimum.abs().amax(0) for group in groups])
    return Posterior(mean, energy)
