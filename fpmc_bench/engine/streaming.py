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
    value_unit,
)
from fpmc_bench.engine.groups import Group, energies_of, gather, groups_of
from fpmc_bench.engine.machine.scratch import Scratch
from fpmc_bench.engine.machine.sizes import Demand, Limits, Sizes, sizes_for
from fpmc_bench.engine.merging import share_minima, share_sums, summed
from fpmc_bench.engine.parts import images_in_all, most_images, sharing_of
from fpmc_bench.engine.prepared import PreparedModel
from fpmc_bench.engine.softmax import RunningSoftmax
from fpmc_bench.fpmc.source import Source

NEGLIGIBLE = 1e-6
"""Of all the weight: what is left out of a second pass is less than this."""
VECTOR = 64
"""Rows of a multiple of this many numbers are summed with whole vectors."""
FEWEST_KEPT = 4
"""Weights are kept between two passes for this many queries at a time, or not at all: for fewer,
reading the source again costs as much as what is saved."""
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


def demand_of(prepared: PreparedModel) -> Demand:
    """What streaming has in memory: differences and their squares, energies, weights, and weights
    spread over pixels; between two passes float32 weights and, of a small source, its blocks. Of
    a block: images as they are stored and twice as numbers, and their squares."""
    dimensions = prepared.model.shape.dimensions
    return Demand(
        max(prepared.precision.columns, prepared.response.columns, prepared.model.estimators),
        arrays=5,
        kept_bytes=prepared.model.estimators * FLOAT_BYTES,
        kept_part=3 / 8,
        fewest_kept=FEWEST_KEPT,
        blocks_part=1 / 8,
        vector=VECTOR,
        block_rows=3 * dimensions + dimensions // prepared.response_channels,
        gpu_arrays=max(prepared.precision.gpu_arrays, prepared.response.gpu_arrays),
    )


def stream(
    prepared: PreparedModel, source: Source, z: Tensor, sigma: float, limits: Limits
) -> Posterior:
    """The posterior of z [B,C,H,W], whose dtype is that of the distances (eq. 7-10)."""
    demand = demand_of(prepared)
    sizes = sizes_for(demand, most_images(source), len(z), z.dtype, limits, on_gpu=z.is_cuda)
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
) -> list[Group]:
    groups = groups_of(prepared, source, z, sigma, sizes.queries)

    def step(group: Group, block: Block) -> None:
        weights, factor = group.softmax.update(energies_of(prepared, group, block))
        group.total *= prepared.response.adjoint(factor)
        gather(prepared, group, weights, block)

    for block in _reader(prepared, source, z, sigma, sizes).blocks():
        for group in groups:
            step(group, block)
    if sharing := sharing_of(source):
        softmaxes = [group.softmax for group in groups]
        for group, lower in zip(groups, share_minima(softmaxes, sharing), strict=True):
            group.total *= prepared.response.adjoint(lower)
        totals = share_sums(softmaxes, [group.total for group in groups], sharing)
        for group, total in zip(groups, totals, strict=True):
            group.total = total
    for group in groups:
        group.total /= prepared.response.adjoint(group.softmax.total)
    return groups


def _two_passes(
    prepared: PreparedModel, source: Source, z: Tensor, sigma: float, sizes: Sizes
) -> list[Group]:
    groups = groups_of(prepared, source, z, sigma, sizes.queries)
    reader = _reader(prepared, source, z, sigma, sizes)
    sharing = sharing_of(source)
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
    highest = torch.empty(len(groups), len(reader), device=z.device, dtype=torch.float32)

    def normalise(group: Group, block: Block, highest: Tensor) -> None:
        energies = energies_of(prepared, group, block)
        out = scratch.take(energies.shape) if keep else None
        weights, _ = group.softmax.update(energies, out)
        torch.amax(weights, (0, 1), out=highest)
        if keep:
            minimum = scratch.take(group.softmax.minimum.shape, z.dtype)
            group.kept.append((weights, minimum.copy_(group.softmax.minimum)))

    def accumulate(group: Group, block: Block) -> None:
        share = 1 / group.softmax.total
        if group.kept:
            weights, minimum = group.kept.pop(0)
            share *= (group.softmax.minimum - minimum).exp().float()
        else:
            weights = group.softmax.relative(energies_of(prepared, group, block))
        gather(prepared, group, weights.mul_(share[..., None]), block)

    kept_blocks = list(reader.blocks(scratch)) if read_once else None
    start = 0
    for block in kept_blocks or reader.blocks():
        stop = start + block.images
        for group, row in zip(groups, highest, strict=True):
            normalise(group, block, row[start:stop])
        start = stop
    few: list[tuple[Group, BlockReader]] = []
    rest: list[Group] = []
    for group, row in zip(groups, highest, strict=True):
        # relative to the largest so far, and so no less than in the end
        wanted = (row > NEGLIGIBLE / images_in_all(source)).nonzero()[:, 0]
        if len(wanted) > WORTH_PICKING * len(reader):
            rest.append(group)
            continue
        group.kept.clear()
        # normalised afresh: sums of fewer columns at a time are not rounded as before
        group.softmax = RunningSoftmax.start(prepared.model.estimators, group.scaled.shape[2], z)
        picked = reader.only(wanted)
        for block in picked.blocks():
            group.softmax.update(energies_of(prepared, group, block))
        few.append((group, picked))
    if sharing:
        softmaxes = [group.softmax for group in groups]
        share_minima(softmaxes, sharing)
        share_sums(softmaxes, [], sharing)
    for group, picked in few:
        for block in picked.blocks():
            accumulate(group, block)
    if rest:
        for block in kept_blocks or reader.blocks():
            for group in rest:
                accumulate(group, block)
    if sharing:
        totals = summed([group.total for group in groups], sharing)
        for group, total in zip(groups, totals, strict=True):
            group.total = total
    for group in groups:
        group.total /= prepared.coverage[:, None]
    return groups


def _reader(
    prepared: PreparedModel, source: Source, z: Tensor, sigma: float, sizes: Sizes
) -> BlockReader:
    channels = prepared.response_channels
    return BlockReader(
        source, sizes.images, z.device, z.dtype, sigma, channels, moments=True
    ).of_weight()


def _collect(prepared: PreparedModel, source: Source, groups: list[Group], z: Tensor) -> Posterior:
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
