"""D(z, sigma) of an FPMC, exactly, in memory that does not grow with the source.

For a query put S[n,d] = (z_d - x_{n,d})^2. Then E = S Q^T, W = softmax_n(log p - E / 2 sigma^2)
and D = sum_n x_n * (R^T W_n) / (R^T 1), all elementwise (design: paper eq. 7-10 in matrix form).
The source is streamed in chunks. Where R partitions the dimensions each pixel has one normaliser
and a single pass with a running maximum is enough; otherwise a first pass finds the
log-normalisers and a second accumulates.
"""

import math

import torch
from torch import Tensor

from fpmc_bench.engine.softmax import RunningSoftmax, relative_weights
from fpmc_bench.engine.translated import denoise_translated
from fpmc_bench.errors import InputError
from fpmc_bench.fpmc import FPMC, SharedByChannels
from fpmc_bench.fpmc.filters import Filter
from fpmc_bench.shapes import ImageShape, image_shape
from fpmc_bench.source import Source

DEFAULT_BUDGET_BYTES = 16 * 2**20
"""Working memory beside the source. Larger chunks leave the processor's cache and are slower."""

MOST_QUERIES = 64
"""Evaluated together: more would share each chunk of the source, but crowd it out of the cache."""

SMALL_SIGMA = 1.0
"""Below this noise level distances are summed in float64.

A float32 sum of D squared differences is wrong by about 1e-7 D; divided by 2 sigma^2 that stays
below 1e-3 of a logit only for sigma of about 1 and more.
"""


def fpmc_denoise(
    model: FPMC,
    source: Source,
    z: Tensor,
    sigma: float,
    *,
    budget_bytes: int = DEFAULT_BUDGET_BYTES,
    chunk_images: int | None = None,
    batch_queries: int | None = None,
) -> Tensor:
    """Evaluate `model` over `source` at noisy images z [B,C,H,W]; returns [B,C,H,W] like z.

    `chunk_images` and `batch_queries` override the sizes that follow from `budget_bytes`; they
    change the speed, and the result only in its last bits. Raises InputError for a sigma that is
    not positive and finite, for a z with NaN or infinite values, and for mismatched shapes.
    """
    check_query(z, sigma, model.shape)
    if source.shape != model.shape:
        raise InputError(f"the source has {source.shape} images, the model is for {model.shape}")
    _check_covered(model)
    dtype = torch.float64 if sigma < SMALL_SIGMA else torch.float32
    if not len(z):
        return torch.empty_like(z)
    pairs = max(1, budget_bytes // _bytes_per_pair(model, dtype))
    batch = batch_queries or min(len(z), MOST_QUERIES, pairs)
    chunk = chunk_images or max(1, pairs // batch)
    evaluate = _denoise if model.translations is None else denoise_translated
    outputs = [
        evaluate(model, source, queries.to(dtype), sigma, chunk) for queries in z.split(batch)
    ]
    return torch.cat(outputs).to(z.dtype)


def check_query(z: Tensor, sigma: float, shape: ImageShape) -> None:
    """Refuse what no denoiser can answer, naming what was wrong and what was expected."""
    if not (math.isfinite(sigma) and sigma > 0):
        raise InputError(f"sigma must be a positive, finite number, got {sigma}")
    if z.ndim != 4 or image_shape(z) != shape:
        raise InputError(f"z must be [B,C,H,W] with images {shape}, got {list(z.shape)}")
    if not z.is_floating_point():
        raise InputError(f"z must be a floating-point tensor, got {z.dtype}")
    if not bool(z.isfinite().all()):
        bad = int((~z.isfinite()).flatten(1).any(1).sum())
        raise InputError(f"z has NaN or infinite values in {bad} of {len(z)} images")


def _check_covered(model: FPMC) -> None:
    uncovered = int((model.response.adjoint(torch.ones(model.estimators)) <= 0).sum())
    if uncovered:
        raise InputError(
            f"{uncovered} of {model.shape.dimensions} dimensions get no response from any "
            f"estimator, so their value is undefined"
        )


def _bytes_per_pair(model: FPMC, dtype: torch.dtype) -> int:
    """Working memory of one (query, image): distances, their temporaries, logits and weights."""
    logits = model.estimators
    if model.translations is not None:
        _, height, width = model.shape
        border = 2 * model.translations.radius_px
        # of the interior pixels each is compared with each
        logits = (max(height - border, 1) * max(width - border, 1)) ** 2
    return (2 * model.shape.dimensions + 3 * logits) * dtype.itemsize


def squared_differences(filter_: Filter, z: Tensor, images: Tensor) -> Tensor:
    """What `filter_` sums: (z_b - x_n)^2 as [B,n,C,H,W], or summed over channels [B,n,H,W]."""
    if not isinstance(filter_, SharedByChannels):
        return (z[:, None] - images).square_()
    total: Tensor | None = None
    for query, image in zip(z.unbind(1), images.unbind(1), strict=True):
        plane = (query[:, None] - image).square_()
        total = plane if total is None else total.add_(plane)
    assert total is not None
    return total


def _logits(model: FPMC, z: Tensor, images: Tensor, log_weights: Tensor, sigma: float) -> Tensor:
    """log p_n - E / 2 sigma^2, [B,n,M]."""
    squares = squared_differences(model.precision, z, images)
    if isinstance(model.precision, SharedByChannels):
        energy = model.precision.apply_planes(squares)
    else:
        energy = model.precision.apply(squares)
    return energy.mul_(-1 / (2 * sigma**2)).add_(log_weights[:, None])


def _denoise(model: FPMC, source: Source, z: Tensor, sigma: float, chunk: int) -> Tensor:
    state = RunningSoftmax.start(len(z), model.estimators, z)
    total = torch.zeros(z.shape, dtype=torch.float32, device=z.device)
    response = model.response
    if response.partitions:
        for images, log_weights in source.chunks(chunk, z.device, z.dtype):
            weights, factor = state.update(_logits(model, z, images, log_weights, sigma))
            total = total * response.adjoint(factor) + response.accumulate(weights, images.float())
        return total / response.adjoint(state.total)
    for images, log_weights in source.chunks(chunk, z.device, z.dtype):
        state.update(_logits(model, z, images, log_weights, sigma))
    normaliser = state.log_normaliser()
    for images, log_weights in source.chunks(chunk, z.device, z.dtype):
        logits = _logits(model, z, images, log_weights, sigma)
        total += response.accumulate(relative_weights(logits, normaliser), images.float())
    return total / response.adjoint(torch.ones(model.estimators, device=z.device))
