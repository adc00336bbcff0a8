"""The two chains of elementwise operations that everything else is built around.

Each stands here twice: in place, operation by operation, and as the expression that is compiled to
one kernel for a GPU.
"""

import math

import torch
from torch import Tensor

from fpmc_bench.engine.machine.fused import fused_on_gpu

FURTHEST = 80.0
"""exp(-80) = 2e-35 of the largest weight: nothing beside it, but still a normal float32 number.
Anything lower would be a denormal, which processors multiply a hundred times more slowly."""

BITS_PER_NAT = 1 / math.log(2)
"""torch's exp2 is its own vector code, and up to three times as fast as its exp, which it hands to
another library."""


def _squared_differences(
    z: Tensor,
    x: Tensor,
    channels: int,
    offset: Tensor | None,
    workspace: tuple[Tensor, Tensor],
) -> Tensor:
    z = z.reshape(channels, -1, z.shape[2], 1)
    x = x.reshape(channels, z.shape[1], 1, -1)
    total = (z[0] - x[0]).square()
    for channel in range(1, channels):
        total = total + (z[channel] - x[channel]).square()
    return workspace[0].copy_(total if offset is None else total - offset)


@fused_on_gpu(_squared_differences)
def squared_differences(
    z: Tensor,
    x: Tensor,
    channels: int,
    offset: Tensor | None,
    workspace: tuple[Tensor, Tensor],
) -> Tensor:
    """(z - x)^2 summed over the `channels` that share a row, less `offset` [K,b,1].

    z [C,H*W,b,1] and x [C,H*W,n] -> [K,b,n], K = C*H*W / channels, in the first of two arrays of
    that shape.
    """
    total, difference = workspace
    z = z.reshape(channels, -1, z.shape[2], 1)
    x = x.reshape(channels, z.shape[1], 1, -1)
    torch.sub(z[0], x[0], out=total)
    torch.mul(total, total, out=total)
    for channel in range(1, channels):
        torch.sub(z[channel], x[channel], out=difference)
        total.addcmul_(difference, difference)
    return total if offset is None else total.sub_(offset)


def _relative_weights(energies: Tensor, reference: Tensor, out: Tensor, floored: bool) -> Tensor:
    exponents = (reference[..., None] - energies).to(out.dtype)
    if floored:
        exponents = exponents.clamp(min=-FURTHEST)
    return out.copy_((exponents * BITS_PER_NAT).exp2())


@fused_on_gpu(_relative_weights)
def relative_weights(energies: Tensor, reference: Tensor, out: Tensor, floored: bool) -> Tensor:
    """exp(reference - energies) in `out`: energies and out [M,b,n], reference [M,b].

    `out` may be the energies, which are overwritten unless their dtype is another; then the
    difference is taken before it is rounded to that of `out`. `floored`: no less than exp(-80).
    """
    bits = energies if energies.dtype == out.dtype else out
    torch.sub(reference[..., None], energies, out=bits)
    if floored:
        bits.clamp_(min=-FURTHEST)
    return torch.exp2(bits.mul_(BITS_PER_NAT), out=out)
