"""EDM preconditioning: from a raw network F to a denoiser D (Karras et al. 2022, eq. 7)."""

import torch
from torch import Tensor, nn

from fpmc_bench.networks.config import NetworkConfig
from fpmc_bench.networks.unet import SongUNet


class EDMPrecond(nn.Module):
    """D(z, sigma) = c_skip z + c_out F(c_in z, ln(sigma)/4), with unit variance in and out of F."""

    def __init__(self, config: NetworkConfig) -> None:
        super().__init__()
        self.config = config
        self.model = SongUNet(config)

    def forward(self, z: Tensor, sigma: Tensor) -> Tensor:
        """z [B,C,H,W] noisy images; sigma [B] noise levels > 0. Returns images [B,C,H,W]."""
        sigma = sigma.reshape(-1, 1, 1, 1).to(z.dtype)
        spread = torch.sqrt(sigma**2 + self.config.sigma_data**2)
        c_skip = self.config.sigma_data**2 / spread**2
        c_out = sigma * self.config.sigma_data / spread
        noise_label = sigma.flatten().log() / 4
        denoised: Tensor = c_skip * z + c_out * self.model(z / spread, noise_label)
        return denoised
