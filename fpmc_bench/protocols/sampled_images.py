"""Images to measure on where a dataset has none: samples of the tuning teacher (paper C.1)."""

from collections.abc import Sequence

import torch
from torch import Tensor

from fpmc_bench.contracts import DenoiseFunction
from fpmc_bench.diffusion.heun import heun_sample
from fpmc_bench.diffusion.noise import unit_noise
from fpmc_bench.fpmc.shapes import ImageShape


@torch.no_grad()
def sampled_images(
    teacher: DenoiseFunction,
    shape: ImageShape,
    sigmas: Sequence[float],
    seed: int,
    items: range,
    device: str,
) -> Tensor:
    """Samples `items` of the teacher, [n,C,H,W] float32 in [-1,1] on the CPU.

    Their noise is a stream of its own, so that none of them is a sample of sample-mse.
    """
    # the stream keeps its first name: under another one it would be other noise
    noise = unit_noise(seed, "held-out-samples", items, shape).to(device)
    return heun_sample(teacher, noise, sigmas).clamp(-1, 1).cpu()
