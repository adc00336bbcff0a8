"""D(z, sigma) of an FPMC with any precision and response, in memory that follows a budget.

For a query put S[k,n] = (z_k - x_{n,k})^2 / 2 sigma^2, one row a pixel k and one column a source
image n. Then E = Q S, W = softmax over n of (log p - E) and D = sum_n x_n (R^T W)_n / (R^T 1)
(paper eq. 7-10 in matrix form). Where R partitions the pixels each has one normaliser, and one
pass with a running minimum is enough. Otherwise a first pass finds the normalisers and a second
accumulates; the weights are kept in between where the budget has room, or else computed again.
Where few images have any weight, as with large patches at low noise, the second pass is over those.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from fpmc_bench.engine.blocks import (
    ARRAYS_PER_BLOCK,
    FLOAT_BYTES,
    Block,
    BlockReader,
    distance_scale,
    value_unit,
)
from fpmc_bench.engine.elementwise import relative_weights, squared_differences
from fpmc_bench.engine.prepared import PreparedModel
from fpmc_bench.engine.scratch import Scratch
from fpmc_bench.engine.sizes import Sizes
from fpmc_bench.engine.softmax import RunningSoftmax
from fpmc_bench.source import Source

CENTRED_SIGMA = 1.0
"""About twice the standard deviation of images in [-1,1]."""
CENTRE_IMAGES = 256
"""Whose mean stands for that of the source."""
NEGLIGIBLE = 1e-6
"""Of all the weight: what is left out of a second pass is less than this."""
WORTH_PICKING = 0.25
"""Images are read again one by one where no more than this part of them is wanted."""


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


class _Workspace:
    """Two working arrays used again and again: new memory costs as much as what is put there."""

    def __init__(self) -> None:
        self._arrays: dict[tuple[int, ...], tuple[Tensor, Tensor]] = {}

    def pair(self, shape: tuple[int, ...], like: Tensor) -> tuple[Tensor, Tensor]:
        if shape not in self._arrays:
            self._arrays[shape] = (like.new_empty(shape), like.new_empty(shape))
        return self._arrays[shape]


@dataclass(eq=False)
class _Group:
    """A few queries that are compared with a block at once, and what they have gathered."""

    scaled: Tensor
    """[C,K,b,1]"""
    softmax: RunningSoftmax
    total: Tensor
    """Weighted sums of values, and last of their squares: [C+1,K,b] float32."""
    offset: Tensor | None
    """What is taken off every squared difference, [K,b,1]: nothing that a softmax could see."""
    workspace: "_Workspace"
    kept: list[tuple[Tensor, Tensor]]
    """Weights [M,b,n] of each block, with the minimum [M,b] that they are relative to."""


def stream(
    prepared: PreparedModel, source: Source, z: Tensor, sigma: float, sizes: Sizes
) -> Posterior:
    """z [B,C,H,W], in the dtype that distances are to be computed in."""
    if prepared.one_pass:
        return _collect(prepared, source, _one_pass(prepared, source, z, sigma, sizes), z)
    parts = [
        _collect(prepared, source, _two_passes(prepared, source, part, sigma, sizes), part)
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

    def step(group: _Group, block: Block) -> None:
        weights, factor = group.softmax.update(_energies(prepared, group, block))
        group.total *= prepared.response.adjoint(factor)
        _gather(prepared, group, weights, block)

    for block in _reader(prepared, source, z, sigma, sizes).blocks():
        for group in groups:
            step(group, block)
    for group in groups:
        group.total /= prepared.response.adjoint(group.softmax.total)
    return groups


def _two_passes(
    prepared: PreparedModel, source: Source, z: Tensor, sigma: float, sizes: Sizes
) -> list[_Group]:
    groups = _groups(prepared, source, z, sigma, sizes)
    reader = _reader(prepared, source, z, sigma, sizes)
    keep = sizes.kept_queries > 0
    columns = len(z) * prepared.model.estimators
    weights_bytes = columns * len(source) * FLOAT_BYTES
    minima_bytes = columns * reader.count * z.dtype.itemsize
    read_once = reader.total_bytes <= sizes.kept_blocks_bytes
    scratch = Scratch(
        z.device,
        keep * (weights_bytes + minima_bytes) + read_once * reader.total_bytes,
        reader.count * (2 * len(groups) + ARRAYS_PER_BLOCK),
    )
    # of each image, the largest weight under any estimator, relative to the largest so far. This
    # and what is kept is not new memory: small arrays that stay, allocated between large ones
    # that go, leave holes that nothing large fits in
    highest = torch.empty(len(groups), len(reader), device=z.device)

    def normalise(group: _Group, block: Block, highest: Tensor) -> None:
        energies = _energies(prepared, group, block)
        out = scratch.take(energies.shape) if keep else None
        weights, _ = group.softmax.update(energies, out)
        torch.amax(weights, (0, 1), out=highest)
        if keep:
            minimum = scratch.take(group.softmax.minimum.shape, z.dtype)
            group.kept.append((weights, minimum.copy_(group.softmax.minimum)))

    def accumulate(group: _Group, block: Block) -> None:
        share = 1 / group.softmax.total
        if group.kept:
            weights, minimum = group.kept.pop(0)
            share *= (group.softmax.minimum - minimum).exp().float()
        else:
            weights = relative_weights(_energies(prepared, group, block), group.softmax.minimum)
        _gather(prepared, group, weights.mul_(share[..., None]), block)

    kept_blocks = list(reader.blocks(scratch)) if read_once else None
    start = 0
    for block in kept_blocks or reader.blocks():
        stop = start + block.images
        for group, row in zip(groups, highest, strict=True):
            normalise(group, block, row[start:stop])
        start = stop
    rest: list[_Group] = []
    for group, row in zip(groups, highest, strict=True):
        # relative to the largest so far, and so no less than in the end
        wanted = (row > NEGLIGIBLE / len(reader)).nonzero()[:, 0]
        if len(wanted) > WORTH_PICKING * len(reader):
            rest.append(group)
            continue
        group.kept.clear()
        # normalised afresh: sums of fewer columns at a time are not rounded as before
        group.softmax = RunningSoftmax.start(prepared.model.estimators, group.scaled.shape[2], z)
        picked = reader.only(wanted)
        for block in picked.blocks():
            group.softmax.update(_energies(prepared, group, block))
        for block in picked.blocks():
            accumulate(group, block)
    if rest:
        for block in kept_blocks or reader.blocks():
            for group in rest:
                accumulate(group, block)
    for group in groups:
        group.total /= prepared.coverage[:, None]
    return groups


def _reader(
    prepared: PreparedModel, source: Source, z: Tensor, sigma: float, sizes: Sizes
) -> BlockReader:
    return BlockReader.of_weight(
        source, sizes.images, z.device, z.dtype, sigma, prepared.response_channels
    )


def _groups(
    prepared: PreparedModel, source: Source, z: Tensor, sigma: float, sizes: Sizes
) -> list[_Group]:
    """Queries as columns: [B,C,H,W] -> a list of [C,K,b,1]."""
    columns = z.flatten(2).permute(1, 2, 0) * distance_scale(sigma)
    shape = (prepared.response_channels + 1, prepared.response.columns)
    parts = [part[..., None].contiguous() for part in columns.split(sizes.queries, dim=-1)]
    workspace = _Workspace()
    return [
        _Group(
            part,
            RunningSoftmax.start(prepared.model.estimators, part.shape[2], z),
            torch.zeros(*shape, part.shape[2], device=z.device),
            _offset(prepared, source, part, sigma),
            workspace,
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
    channels = prepared.precision_channels
    shape = (prepared.precision.columns, z.shape[2], 1)
    return squared_differences(z, mean[..., None], channels, None, _Workspace().pair(shape, z))


def _energies(prepared: PreparedModel, group: _Group, block: Block) -> Tensor:
    """E / 2 sigma^2 - log p: [M,b,n]."""
    channels, images = prepared.precision_channels, block.scaled
    shape = (prepared.precision.columns, group.scaled.shape[2], images.shape[2])
    squares = squared_differences(
        group.scaled, images, channels, group.offset, group.workspace.pair(shape, images)
    )
    energies = prepared.precision.apply(squares.flatten(1)).reshape(-1, *shape[1:])
    if energies.data_ptr() == squares.data_ptr():
        energies = energies.clone()  # the next group's differences go where these are
    return energies if block.log_weights is None else energies - block.log_weights


def _gather(prepared: PreparedModel, group: _Group, weights: Tensor, block: Block) -> None:
    """Add sum_n x_n (R^T w_n), and the same of squares: weights [M,b,n]."""
    spread = prepared.response.adjoint(weights.flatten(1)).reshape(-1, *weights.shape[1:])
    group.total += torch.einsum("kbn,ckn->ckb", spread, block.moments)


def _collect(prepared: PreparedModel, source: Source, groups: list[_Group], z: Tensor) -> Posterior:
    unit = value_unit(source)
    *values, squares = torch.cat([group.total for group in groups], dim=-1)
    means = torch.stack(values)
    variance = squares - means.square().sum(0)
    mean = means.permute(2, 0, 1).reshape(z.shape) * unit
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
        variance.clamp(min=0).sqrt() * unit,
    )
