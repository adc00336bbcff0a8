"""Preconditioning: from a raw network F to a denoiser D (Karras et al. 2022, eq. 7, table 1)."""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from fpmc_bench.teachers.unet.config import NetworkConfig
from fpmc_bench.teachers.unet.song_unet import SongUNet


@dataclass(frozen=True, eq=False)
class Coefficients:
    """D(z, sigma) = skip z + out F(z / spread, noise_label); all shaped as the sigma they are of.

    `spread` is the standard deviation that F's input is freed of: EDM's 1 / c_in.
    """

    skip: Tensor
    out: Tensor
    spread: Tensor
    noise_label: Tensor


def coefficients(config: NetworkConfig, sigma: Tensor) -> Coefficients:
    """The network's column of EDM's table 1 at noise levels sigma > 0, a tensor of any shape."""
    one = torch.ones_like(sigma)
    if config.preconditioning == "ve":
        return Coefficients(one, sigma, one, (sigma / 2).log())
    if config.preconditioning == "vp":
        # the time at which the VP process, its signal scaled back to one, has this noise level
        log_variance = torch.log(1 + sigma**2)
        root = torch.sqrt(config.beta_min**2 + 2 * config.beta_d * log_variance)
        time = (root - config.beta_min) / config.beta_d
        spread = torch.sqrt(sigma**2 + 1)
        return Coefficients(one, -sigma, spread, (config.noise_steps - 1) * time)
    spread = torch.sqrt(sigma**2 + config.sigma_data**2)
    skip = config.sigma_data**2 / spread**2
    return Coefficients(skip, sigma * config.sigma_data / spread, spread, sigma.log() / 4)


class EDMPrecond(nn.Module):
    """A SongUNet as a denoiser, by the preconditioning its config names (edm where none does)."""

    def __init__(self, config: NetworkConfig) -> None:
        super().__init__()
        self.config = config
        self.model = SongUNet(config)

    def forward(self, z: Tensor, sigma: Tensor, label: int | None = None) -> Tensor:
        """z [B,C,H,W] noisy images; sigma [B] noise levels > 0. Returns images [B,C,H,W].

        `label` is the class of all of them, of a network that has classes; None is no class.
        """
        c = coefficients(self.config, sigma.reshape(-1, 1, 1, 1).to(z.dtype))
        raw = self.model(z / c.spread, c.noise_label.flatten(), label)
        denoised: Tensor = c.skip * z + c.out * raw
        return denoised
