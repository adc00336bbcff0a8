"""EDM's deterministic sampler (Karras et al. 2022, algorithm 1 without churn; paper C.4)."""

from collections.abc import Callable
from itertools import pairwise

import torch
from torch import Tensor

from fpmc_bench.errors import InputError
from fpmc_bench.fpmc.sigmas import AnySigmas, sigmas_of


def heun_sample(
    denoiser: Callable[[Tensor, float], Tensor], noise: Tensor, sigmas: AnySigmas
) -> Tensor:
    """Solve dz/dsigma = (z - D(z, sigma)) / sigma from sigmas[0] to 0: images [B,C,H,W].

    `denoiser(z, sigma)` is given z [B,C,H,W] in the dtype of `noise` and returns the same shape.
    `noise` [B,C,H,W] is unit normal, scaled by sigmas[0] inside; `sigmas` [S], in units of pixel
    values in [-1,1], descends and does not hold the final 0. Heun's second-order steps, the last
    one Euler's: 2S-1 evaluations. The state is float64, so that small steps from sigma 80 lose
    nothing; the result has the dtype of `noise`, and is not clamped to [-1,1].

    Raises InputError where sigmas are none, not positive or not strictly descending, and whatever
    the denoiser raises.
    """
    grid = list(sigmas_of(sigmas))
    if any(a <= b for a, b in pairwise(grid)):
        raise InputError(f"sigmas must be positive and strictly descending, got {grid}")

    def slope(z: Tensor, sigma: float) -> Tensor:
        return (z - denoiser(z.to(noise.dtype), sigma).double()) / sigma

    z = noise.double() * grid[0]
    for sigma, following in zip(grid, [*grid[1:], 0.0], strict=True):
        step = following - sigma
        d = slope(z, sigma)
        proposal = z + step * d
        if following > 0:
            proposal = z + step * (d + slope(proposal, following)) / 2
        z = proposal
    return torch.as_tensor(z, dtype=noise.dtype)
