"""EDM's denoising loss, and the target that is steadier than the noised image at high noise."""

import torch
from torch import Tensor

from fpmc_bench.fpmc.source import Source
from fpmc_bench.teachers.unet.preconditioning import EDMPrecond

CHUNK_IMAGES = 4096
"""Training images turned to floats at a time: 50 MB of 32x32 RGB."""


def edm_loss(network: EDMPrecond, z: Tensor, sigma: Tensor, target: Tensor) -> Tensor:
    """Mean over the batch of lambda(sigma) ||D(z; sigma) - target||^2 / D, a scalar (EDM, eq. 2).

    z = x + sigma eps and target (x, or its posterior mean) [B,C,H,W]; sigma [B].
    lambda = (sigma^2 + sigma_data^2) / (sigma sigma_data)^2.
    """
    sigma_data = network.config.sigma_data
    weight = (sigma**2 + sigma_data**2) / (sigma * sigma_data) ** 2
    error: Tensor = network(z, sigma) - target
    return (weight * error.square().flatten(1).mean(1)).mean()


def posterior_mean(images: Tensor | Source, z: Tensor, sigma: Tensor) -> Tensor:
    """The optimal denoiser of `images` [N,C,H,W] at z [B,C,H,W], each row at its own sigma [B].

    sum_n w_n x_n, w = softmax_n(log p_n - ||z - x_n||^2 / 2 sigma^2), p the weights of the source
    or uniform; [B,C,H,W]. Images are read twice, a chunk at a time; between the readings only
    [B,N] weights are kept.
    """
    source = images if isinstance(images, Source) else Source(images)
    queries = z.flatten(1)
    energies = [
        torch.cdist(queries, chunk.flatten(1)).square()
        for chunk, _ in source.chunks(CHUNK_IMAGES, z.device, z.dtype)
    ]
    logits = -torch.cat(energies, dim=1) / (2 * sigma[:, None] ** 2)
    if source.log_weights is not None:
        logits += source.log_weights.to(logits)
    weights = torch.softmax(logits, dim=1)
    mean: Tensor | None = None
    parts = weights.split(CHUNK_IMAGES, dim=1)
    for part, (chunk, _) in zip(parts, source.chunks(CHUNK_IMAGES, z.device, z.dtype), strict=True):
        share = part @ chunk.flatten(1)
        mean = share if mean is None else mean + share
    assert mean is not None  # a source has at least one image
    return mean.reshape(z.shape)
