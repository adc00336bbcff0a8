"""One estimator that sees whole images (the optimal denoiser): two products with the source.

-|z - x|^2 / 2 sigma^2 = z.x / sigma^2 - |x|^2 / 2 sigma^2 + what is the same for all images. The
difference of large products loses digits, so it is taken in float64 unless the noise is so high
that the products themselves are small.
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
LARGEST_LOGIT_ERROR = 2e-5
"""Of float32 products. The mean of values in [-1,1] is off by no more."""


def denoise_whole(
    source: Source, z: Tensor, sigma: float, budget_bytes: int, chunk_images: int | None
) -> Tensor:
    """z [B,C,H,W] -> [B,C,H,W] float32."""
    dtype = _product_dtype(source, z, sigma)
    dimensions = source.shape.dimensions
    values = min(GPU_VALUES if z.is_cuda else CACHED_VALUES, budget_bytes // 4 // dtype.itemsize)
    images = min(chunk_images or max(1, values // dimensions), len(source))
    # stored levels are used as they are, so that the factor goes to the few queries instead
    scale, middle = (source.scale, 1 / source.scale) if source.is_levels else (1.0, 0.0)
    queries = (z.double().flatten(1) * (scale / sigma**2)).to(dtype)
    priors = source.squared_norms / (-2 * sigma**2)
    if source.log_weights is not None:
        priors = priors + source.log_weights
    maximum = queries.new_full((len(z),), torch.finfo(dtype).min)
    weight = torch.zeros_like(maximum)
    total = torch.zeros_like(queries)
    buffer = Scratch(z.device, images * dimensions * dtype.itemsize, 1).take(
        (images, dimensions), dtype
    )
    for start in range(0, len(source), images):
        stop = min(start + images, len(source))
        levels = buffer[: stop - start].copy_(source.images[start:stop].flatten(1)).sub_(middle)
        logits = torch.nn.functional.linear(levels, queries)  # faster than its transpose
        logits += priors[start:stop, None].to(logits)
        largest = torch.maximum(maximum, logits.amax(0))
        logits -= largest
        factor = (maximum - largest).exp_()
        maximum = largest
        heavy = (logits.amax(1) > -FURTHEST).nonzero()[:, 0]  # for any query
        if len(heavy) <= WORTH_SELECTING * len(levels):
            levels, logits = levels[heavy], logits[heavy]
        weights = logits.exp_().T.contiguous()
        weight = weight * factor + weights.sum(1)
        total = torch.addmm(total * factor[:, None], weights, levels)
    mean = total / weight[:, None] * scale
    return mean.float().reshape(z.shape)


def _product_dtype(source: Source, z: Tensor, sigma: float) -> torch.dtype:
    """float32 where rounding a product moves no logit by more than LARGEST_LOGIT_ERROR.

    A sum of products is off by a part of the lengths of its factors; in fact by much less, for
    roundings are as often up as down.
    """
    length = float(source.squared_norms.max().sqrt())
    product = length * (float(z.flatten(1).norm(dim=1).max()) + length / 2) / sigma**2
    small = torch.finfo(torch.float32).eps / 2 * product < LARGEST_LOGIT_ERROR
    return torch.float32 if small else torch.float64
