"""How good a teacher is: its error against clean held-out images, at one noise level at a time.

Held out are the images of the test split, which no training, tuning or fine-tuning has seen.
"""

from collections.abc import Sequence

import torch

from fpmc_bench.contracts import DenoiseFunction
from fpmc_bench.diffusion.noise import unit_noise
from fpmc_bench.fpmc.source import Source

SIGMAS = (0.05, 0.1, 0.3, 0.6, 1.0, 2.0, 5.0, 10.0, 20.0, 40.0, 80.0)
MAX_IMAGES = 500
BATCH = 64


@torch.no_grad()
def held_out_errors(
    denoise: DenoiseFunction,
    test: Source,
    sigmas: Sequence[float] = SIGMAS,
    *,
    seed: int = 0,
    device: str = "cpu",
) -> dict[float, float]:
    """sigma -> mean of (D(x + sigma·eps, sigma) - x)^2 over pixels of the first 500 test images.

    In squared pixel units of [-1, 1]. The same keyed noise at every noise level and for every
    teacher. Raises what `denoise` raises.
    """
    count = min(len(test), MAX_IMAGES)
    noise = unit_noise(seed, "held-out", range(count), tuple(test.shape)).to(device)
    x = test.chunk(0, count, device, torch.float32)[0]
    errors: dict[float, float] = {}
    for sigma in sigmas:
        denoised = [denoise(z, sigma) for z in (x + sigma * noise).split(BATCH)]
        errors[sigma] = (torch.cat(denoised) - x).square().mean().item()
    return errors
