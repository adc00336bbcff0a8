"""D(z, sigma) of an FPMC, exactly: the engine's front door.

Whole images and translated squares go by matrix products; anything else is streamed.
"""

import math

import torch
from torch import Tensor

from fpmc_bench.engine.exact import stream_exactly
from fpmc_bench.engine.machine.halving import within_memory
from fpmc_bench.engine.machine.placement import placed
from fpmc_bench.engine.machine.scratch import teach_allocator
from fpmc_bench.engine.machine.settings import current_settings
from fpmc_bench.engine.prepared import PreparedModel, prepare
from fpmc_bench.engine.translated import denoise_translated
from fpmc_bench.engine.whole import denoise_whole
from fpmc_bench.errors import InputError
from fpmc_bench.fpmc import FPMC, Uniform
from fpmc_bench.fpmc.shapes import ImageShape, image_shape
from fpmc_bench.fpmc.source import Source


@torch.no_grad()
def fpmc_denoise(
    model: FPMC,
    source: Source,
    z: Tensor,
    sigma: float,
    *,
    budget_bytes: int | None = None,
    chunk_images: int | None = None,
    batch_queries: int | None = None,
) -> Tensor:
    """Evaluate `model` over `source` at noisy images z [B,C,H,W]; returns [B,C,H,W] like z.

    `budget_bytes` bounds the working memory beside the source (default: as `using` set it).
    `chunk_images` and `batch_queries` override the sizes that follow from it; all three change the
    speed, and the result only in its last bits. Where a GPU runs out of memory, half of the budget
    is tried, and so on. Raises InputError for a sigma that is not positive and finite, for a z with
    NaN or infinite values, and for mismatched shapes.
    """
    teach_allocator()
    check_query(z, sigma, model.shape)
    if source.shape != model.shape:
        raise InputError(f"the source has {source.shape} images, the model is for {model.shape}")
    prepared = prepare(model, z.device)
    source = placed(source, z.device)
    if not len(z):
        return torch.empty_like(z)
    mean = within_memory(
        budget_bytes or current_settings().budget_bytes,
        lambda budget: _denoise(prepared, source, z, sigma, budget, chunk_images, batch_queries),
    )
    return mean.to(z.dtype)


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


def _denoise(
    prepared: PreparedModel,
    source: Source,
    z: Tensor,
    sigma: float,
    budget_bytes: int,
    chunk_images: int | None,
    batch_queries: int | None,
) -> Tensor:
    model = prepared.model
    if model.translations is not None:
        return denoise_translated(prepared, source, z, sigma, budget_bytes, chunk_images)
    if type(model.precision) is type(model.response) is Uniform:
        return denoise_whole(source, z, sigma, budget_bytes, chunk_images)
    return stream_exactly(prepared, source, z, sigma, budget_bytes, chunk_images, batch_queries)
