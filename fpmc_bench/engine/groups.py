"""A few queries that are compared with a block of images at once, and what they have gathered."""

from dataclasses import dataclass

import torch
from torch import Tensor

from fpmc_bench.engine.blocks import Block, distance_scale
from fpmc_bench.engine.elementwise import squared_differences
from fpmc_bench.engine.parts import first_images
from fpmc_bench.engine.prepared import PreparedModel
from fpmc_bench.engine.softmax import RunningSoftmax
from fpmc_bench.fpmc.source import Source

CENTRED_SIGMA = 1.0
"""About twice the standard deviation of images in [-1,1]."""


class Workspace:
    """Two working arrays used again and again: new memory costs as much as what is put there."""

    def __init__(self) -> None:
        self._arrays: dict[tuple[int, ...], tuple[Tensor, Tensor]] = {}

    def pair(self, shape: tuple[int, ...], like: Tensor) -> tuple[Tensor, Tensor]:
        """Both arrays [*shape], on the device and in the dtype of `like`, with old content."""
        if shape not in self._arrays:
            self._arrays[shape] = (like.new_empty(shape), like.new_empty(shape))
        return self._arrays[shape]


@dataclass(eq=False)
class Group:
    """A few queries that are compared with a block at once, and what they have gathered."""

    scaled: Tensor
    """Queries as columns, z / (sqrt(2) sigma): [C,H*W,b,1]."""
    softmax: RunningSoftmax
    total: Tensor
    """Weighted sums of values, and last of their squares: [C+1,K,b] float32."""
    offset: Tensor | None
    """What is taken off every squared difference, [K,b,1]: nothing that a softmax could see."""
    workspace: Workspace
    kept: list[tuple[Tensor, Tensor]]
    """Weights [M,b,n] of each block, with the minimum [M,b] that they are relative to."""


def groups_of(
    prepared: PreparedModel, source: Source, z: Tensor, sigma: float, queries: int
) -> list[Group]:
    """The groups of z [B,C,H,W], `queries` at a time, none of them compared with anything yet."""
    shape = (prepared.response_channels + 1, prepared.response.columns)
    workspace = Workspace()
    return [
        Group(
            part,
            RunningSoftmax.start(prepared.model.estimators, part.shape[2], z),
            torch.zeros(*shape, part.shape[2], device=z.device, dtype=torch.float32),
            _offset(prepared, source, part, sigma),
            workspace,
            [],
        )
        for part in query_columns(z, sigma, queries)
    ]


def query_columns(z: Tensor, sigma: float, queries: int) -> list[Tensor]:
    """z [B,C,H,W] as columns divided by sqrt(2) sigma, `queries` at a time: [C,H*W,b,1] each."""
    columns = z.flatten(2).permute(1, 2, 0) * distance_scale(sigma)
    return [part[..., None].contiguous() for part in columns.split(queries, dim=-1)]


def _offset(prepared: PreparedModel, source: Source, z: Tensor, sigma: float) -> Tensor | None:
    """Where noise is larger than images, what they all have in common: z's distance to their mean.

    Without it a sum of a thousand terms is nearly the same for every image, and rounded by as
    much as images differ. At low noise the nearest image is far below the mean instead.
    """
    if sigma < CENTRED_SIGMA:
        return None
    sample = source.to_values(first_images(source).to(z.device), z.dtype)
    mean = sample.mean(0).flatten(1) * distance_scale(sigma)
    return squares_of(z, mean[..., None], prepared.precision_channels, None, Workspace())


def squares_of(
    z: Tensor, x: Tensor, channels: int, offset: Tensor | None, workspace: Workspace
) -> Tensor:
    """(z - x)^2 with `channels` summed, less `offset` [K,b,1]: [K,b,n], K = C*H*W / channels.

    z [C,H*W,b,1] and x [C,H*W,n], both divided by sqrt(2) sigma, so that filtered sums are
    energies E / 2 sigma^2. The workspace's next squares overwrite these.
    """
    shape = (x.shape[0] * x.shape[1] // channels, z.shape[2], x.shape[2])
    return squared_differences(z, x, channels, offset, workspace.pair(shape, x))


def energies_of(prepared: PreparedModel, group: Group, block: Block) -> Tensor:
    """E / 2 sigma^2 - log p of a group and a block, [M,b,n] in the dtype of the distances."""
    channels = prepared.precision_channels
    squares = squares_of(group.scaled, block.scaled, channels, group.offset, group.workspace)
    energies = prepared.precision.apply(squares.flatten(1)).reshape(-1, *squares.shape[1:])
    if energies.data_ptr() == squares.data_ptr():
        energies = energies.clone()  # the next group's differences go where these are
    return energies if block.log_weights is None else energies - block.log_weights


def gather(prepared: PreparedModel, group: Group, weights: Tensor, block: Block) -> None:
    """Add sum_n x_n (R^T w_n), and the same of squares, to the group's total: weights [M,b,n]."""
    spread = prepared.response.adjoint(weights.flatten(1)).reshape(-1, *weights.shape[1:])
    group.total += torch.einsum("kbn,ckn->ckb", spread, block.averaged)
