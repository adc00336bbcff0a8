"""What an unfinished network makes of noise: the same noise every time, beside real images."""

from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor

from fpmc_bench.diffusion.heun import heun_sample
from fpmc_bench.diffusion.noise import unit_noise
from fpmc_bench.diffusion.sigmas import sigma_grid
from fpmc_bench.fpmc.source import Source
from fpmc_bench.results.render.sample_grid import write_sample_grid
from fpmc_bench.teachers.unet.preconditioning import EDMPrecond

COLUMNS, SAMPLE_ROWS = 8, 3
STEPS = 18


def as_denoiser(network: EDMPrecond) -> Callable[[Tensor, float], Tensor]:
    """(z [B,C,H,W], sigma) -> D(z, sigma) [B,C,H,W] of a network, on whatever device it is."""

    @torch.no_grad()
    def denoise(z: Tensor, sigma: float) -> Tensor:
        denoised: Tensor = network(z, torch.full((len(z),), sigma, device=z.device))
        return denoised

    return denoise


def write_training_samples(
    path: Path, network: EDMPrecond, images: Source, device: torch.device
) -> None:
    """A PNG: a row of training images, then samples from keyed noise (Heun, 18 noise levels).

    InputError for images that are neither grey nor RGB.
    """
    shape = tuple(images.shape)
    rows = {"training images": images.chunk(0, COLUMNS, "cpu", torch.float32)[0].numpy()}
    for row in range(SAMPLE_ROWS):
        items = range(row * COLUMNS, (row + 1) * COLUMNS)
        noise = unit_noise(0, "training-samples", items, shape).to(device)
        samples = heun_sample(as_denoiser(network), noise, sigma_grid(STEPS))
        # a network that has just begun may leave everything finite behind
        rows[f"samples {items.start + 1}-{items.stop}"] = samples.nan_to_num(0).cpu().numpy()
    write_sample_grid(path, rows)
