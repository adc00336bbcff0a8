"""One estimator that sees whole images (the optimal denoiser): two products with the source.

-|z - x|^2 / 2 sigma^2 = z.x / sigma^2 - |x|^2 / 2 sigma^2 + what is the same for all images. The
difference of large products loses digits, so it is taken in float64, which costs nothing: with a
few queries at a time, reading the source takes longer than multiplying by it.
"""

import torch
from torch import Tensor

from fpmc_bench.engine.elementwise import FURTHEST
from fpmc_bench.engine.scratch import Scratch
from fpmc_bench.engine.sizes import GPU_VALUES
from fpmc_bench.source import Source

CACHED_VALUES = 2**20
"""Numbers of a block on a processor: 8 MiB, for a product of few rows needs long ones."""
WORTH_SELECTING = 0.5
"""Images are picked out of a block where no more than this part of them has any weight."""
FLOAT64_BYTES = 8


def denoise_whole(
    source: Source, z: Tensor, sigma: float, budget_bytes: int, chunk_images: int | None
) -> Tensor:
    """z [B,C,H,W] -> [B,C,H,W] float32."""
    dimensions = source.shape.dimensions
    values = min(GPU_VALUES if z.is_cuda else CACHED_VALUES, budget_bytes // 4 // FLOAT64_BYTES)
    images = chunk_images or max(1, values // dimensions)
    # stored levels are used as they are, so that the factor goes to the few queries instead
    scale, middle = (source.scale, 1 / source.scale) if source.is_levels else (1.0, 0.0)
    queries = z.double().flatten(1) * (scale / sigma**2)
    priors = source.squared_norms / (-2 * sigma**2)
    if source.log_weights is not None:
        priors = priors + source.log_weights
    maximum = queries.new_full((len(z),), torch.finfo(torch.float64).min)
    weight = torch.zeros_like(maximum)
    total = torch.zeros_like(queries)
    images = min(images, len(source))
    buffer = Scratch(z.device, images * dimensions * FLOAT64_BYTES, 1).take(
        (images, dimensions), torch.float64
    )
    for start in range(0, len(source), images):
        stop = min(start + images, len(source))
        levels = buffer[: stop - start].copy_(source.images[start:stop].flatten(1))
        logits = torch.addmm(priors[start:stop].to(z.device), queries, levels.T)
        largest = torch.maximum(maximum, logits.amax(1))
        logits -= largest[:, None]
        factor = (maximum - largest).exp_()
        maximum = largest
        heavy = (logits.amax(0) > -FURTHEST).nonzero()[:, 0]  # for any query
        if len(heavy) <= WORTH_SELECTING * len(levels):
            levels, logits = levels[heavy], logits[:, heavy]
        weights = logits.exp_()
        weight = weight * factor + weights.sum(1)
        total = torch.addmm(total * factor[:, None], weights, levels)
    mean = (total / weight[:, None] - middle) * scale
    return mean.float().reshape(z.shape)
