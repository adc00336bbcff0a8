"""The canary: a network's answers to a fixed input, kept with its weights and checked at each load.

It notices what a checksum of the file can't: that this version of fpmc_bench or of torch computes
another function from the same weights than the one that was converted.
"""

from collections.abc import Sequence

import torch
from torch import Tensor

from fpmc_bench.diffusion.noise import unit_noise
from fpmc_bench.errors import CheckpointError
from fpmc_bench.teachers.unet.preconditioning import EDMPrecond

CANARY = "canary.output"
"""The tensor of a teacher file that holds the answers, [S,C,H,W] for S noise levels."""
CANARY_SIGMAS = (0.1, 1.0, 10.0)
TOLERANCE = 1e-4
"""Largest difference, relative to the answer's largest value and at least to sigma.

Another torch, BLAS or CPU may sum in another order. Through a few dozen layers float32 (6e-8) is
then off by about 1e-6 of F's output, and D is F's output times up to sigma: a hundred of those are
allowed. A wrong layer, an unwanted bf16 or a changed formula shows up far above 1e-3.
"""


@torch.no_grad()
def answers(network: EDMPrecond, sigmas: Sequence[float]) -> Tensor:
    """D of keyed noise [S,C,H,W], an image a noise level: float32, on the CPU, in evaluation."""
    config = network.config
    shape = (config.channels, config.side_px, config.side_px)
    noise = unit_noise(0, "canary", range(len(sigmas)), shape)
    noise_levels = torch.tensor(sigmas, dtype=torch.float32)
    spread = torch.sqrt(noise_levels**2 + config.sigma_data**2).reshape(-1, 1, 1, 1)
    # one at a time, so that the order of summation doesn't depend on how many there are
    pairs = zip(noise * spread, noise_levels, strict=True)
    return torch.cat([network(z[None], sigma[None]) for z, sigma in pairs])


def check_canary(
    network: EDMPrecond, sigmas: Sequence[float], expected: Tensor | None, origin: str
) -> None:
    """Raises CheckpointError where the network, read from `origin`, answers others than `expected`.

    [S,C,H,W], to TOLERANCE; None where the file has none.
    """
    config = network.config
    shape = [len(sigmas), config.channels, config.side_px, config.side_px]
    # before the network is asked, for images of a size that a file may only state
    if expected is None or list(expected.shape) != shape:
        found = "missing" if expected is None else list(expected.shape)
        raise CheckpointError(
            f"{origin} is damaged: its tensor '{CANARY}' is {found}, expected {shape}; convert the "
            f"published file again"
        )
    answered = answers(network, sigmas)
    for sigma, here, there in zip(sigmas, answered, expected.float(), strict=True):
        difference = float((here - there).abs().max())
        allowed = TOLERANCE * max(sigma, float(there.abs().max()))
        if not difference <= allowed:
            raise CheckpointError(
                f"{origin}: at sigma {sigma:g} the network's answer to the file's test input is "
                f"off by {difference:.2g}, allowed are {allowed:.2g}: the weights are damaged, or "
                f"this torch ({torch.__version__}) or fpmc_bench computes something else than the "
                f"one that converted them; convert the published file again"
            )
