"""One estimator that sees whole images (the optimal denoiser): two products with the source.

-|z - x|^2 / 2 sigma^2 = z.x / sigma^2 - |x|^2 / 2 sigma^2 + what is the same for all images. The
difference of large products loses digits, so it is taken in float64 wherever float32 could show.
"""

import torch
from torch import Tensor

from fpmc_bench.source import Source

MOST_IMAGES = 1024
FLOAT32_SIGMA = 2.5e-4
"""float32 products of D terms are used from sigma = 2.5e-4 D up. Their rounding is about 4e-7 of
|z| |x| / sigma^2 <= D / 2 sigma there, which stays below 1e-3 of a logit."""


def denoise_whole(
    source: Source, z: Tensor, sigma: float, budget_bytes: int, chunk_images: int | None
) -> Tensor:
    """z [B,C,H,W] -> [B,C,H,W] float32."""
    dimensions = source.shape.dimensions
    dtype = torch.float32 if sigma >= FLOAT32_SIGMA * dimensions else torch.float64
    affordable = budget_bytes // (3 * dimensions * dtype.itemsize)
    images = chunk_images or max(1, min(MOST_IMAGES, affordable))
    queries = (z.double() / sigma**2).to(dtype).flatten(1)
    maximum = queries.new_full((len(z),), -torch.inf)
    weight = torch.zeros(len(z), device=z.device)
    total = torch.zeros(len(z), dimensions, device=z.device)
    for block, log_weights in source.chunks(images, z.device, dtype):
        flat = block.flatten(1)
        prior = log_weights - flat.square().sum(1) / (2 * sigma**2)
        logits = torch.addmm(prior, queries, flat.T)
        largest = torch.maximum(maximum, logits.amax(1))
        # while every image so far has no weight, nothing has been gathered either
        shift = torch.where(largest.isfinite(), largest, 0.0)
        factor = (maximum - shift).exp().float()
        weights = (logits - shift[:, None]).float().exp_()
        weight = weight * factor + weights.sum(1)
        total = total * factor[:, None] + weights @ flat.float()
        maximum = largest
    return (total / weight[:, None]).reshape(z.shape)
