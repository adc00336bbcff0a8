"""D(z, sigma) of an FPMC, exactly: the engine's front door.

`ways` are how; here is what all have in common: the check of what is asked, the model's maps, a
place for the source, and memory.
"""

import torch
from torch import Tensor

from fpmc_bench.engine.alike import common_query
from fpmc_bench.engine.machine.halving import affordable, within_memory
from fpmc_bench.engine.machine.placement import placed
from fpmc_bench.engine.machine.scratch import teach_allocator
from fpmc_bench.engine.machine.settings import current_settings
from fpmc_bench.engine.machine.sizes import Limits
from fpmc_bench.engine.machine.tf32 import without_tf32
from fpmc_bench.engine.parts import part_of
from fpmc_bench.engine.prepared import prepare
from fpmc_bench.engine.ways import way_of
from fpmc_bench.errors import InputError
from fpmc_bench.fpmc import FPMC
from fpmc_bench.fpmc.shapes import ImageShape, image_shape
from fpmc_bench.fpmc.sigmas import AnySigma, sigma_of
from fpmc_bench.fpmc.source import Source


@torch.no_grad()
@without_tf32()
def fpmc_denoise(
    model: FPMC,
    source: Source,
    z: Tensor,
    sigma: AnySigma,
    *,
    budget_bytes: int | None = None,
    chunk_images: int | None = None,
    batch_queries: int | None = None,
) -> Tensor:
    """D(z, sigma) of `model` over `source` at noisy images z [B,C,H,W]: [B,C,H,W] like z.

    Equations 7-10 of the paper, exact to 1e-4 for any z and sigma. z is of any floating-point
    dtype, on the device that is to compute; sigma is the standard deviation of its noise on pixel
    values in [-1,1].

    `budget_bytes` bounds the working memory beside the source (default: as `using` set it).
    `chunk_images` and `batch_queries` override the sizes that follow from it; all three change the
    speed, and the result only in its last bits. Where a GPU runs out of memory, half of the budget
    is tried, and so on; no later call in the process then takes more than was enough.

    Where `using` set a sharing, this process evaluates its part of the source, and gives and gets
    what it takes for the whole answer: all of its processes must call this alike.

    Raises InputError for a sigma that is not positive and finite, for a z with NaN or infinite
    values, for mismatched shapes, and for a model that leaves a dimension without response.
    """
    teach_allocator()
    sigma = check_query(z, sigma, model.shape)
    if source.shape != model.shape:
        raise InputError(f"the source has {source.shape} images, the model is for {model.shape}")
    way, prepared = way_of(model), prepare(model, z.device)
    sharing = current_settings().sharing
    source = placed(part_of(source, sharing) if sharing else source, z.device)
    if not len(z):
        return torch.empty_like(z)
    budget_bytes = affordable(budget_bytes or current_settings().budget_bytes)
    if sharing:
        z, budget_bytes = common_query(prepared, source, z, sigma, budget_bytes, sharing)

    def denoised(budget_bytes: int) -> Tensor:
        limits = Limits(budget_bytes, chunk_images, batch_queries)
        return way.denoise(prepared, source, z, sigma, limits)

    return within_memory(budget_bytes, denoised, sharing).to(z.dtype)


def check_query(z: Tensor, sigma: AnySigma, shape: ImageShape) -> float:
    """sigma as a float; InputError for what no denoiser can answer, with what was expected.

    z must be [B,C,H,W] of images of `shape`, floating-point and finite; sigma positive and finite.
    """
    known = sigma_of(sigma)
    if not isinstance(z, Tensor):
        raise InputError(f"z must be a torch tensor [B,C,H,W], got {type(z).__name__}")
    if z.ndim != 4 or image_shape(z) != shape:
        raise InputError(f"z must be [B,C,H,W] with images {shape}, got {list(z.shape)}")
    if not z.is_floating_point():
        raise InputError(f"z must be a floating-point tensor, got {z.dtype}")
    if not bool(z.isfinite().all()):
        bad = int((~z.isfinite()).flatten(1).any(1).sum())
        raise InputError(f"z has NaN or infinite values in {bad} of {len(z)} images")
    return known
