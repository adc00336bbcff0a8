"""One estimator that sees whole images (the optimal denoiser): two products with the source.

-|z - x|^2 / 2 sigma^2 = z.x / sigma^2 - |x|^2 / 2 sigma^2 + what is the same for all images. The
difference of large products loses digits, so it is taken in float64 unless the noise is so high
that the products themselves are small. float32 is still enough to tell which images are so far
from all queries that nothing more need be known of them.
"""

import torch
from torch import Tensor

from fpmc_bench.engine.blocks import FLOAT_BYTES
from fpmc_bench.engine.elementwise import FURTHEST
from fpmc_bench.engine.machine.scratch import Scratch
from fpmc_bench.engine.machine.sizes import GPU_VALUES, Limits
from fpmc_bench.engine.merging import summed
from fpmc_bench.engine.parts import sharing_of
from fpmc_bench.engine.prepared import PreparedModel
from fpmc_bench.engine.ways.base import Way, Work
from fpmc_bench.fpmc import FPMC, Uniform
from fpmc_bench.fpmc.source import Source

CACHED_VALUES = 2**20
"""Numbers of a block on a processor: 8 MiB, for a product of few rows needs long ones."""
WORTH_SELECTING = 0.5
"""Images are picked out of a block where no more than this part of them has any weight."""
STRIPS, NARROWEST_STRIP = 8, 64
"""Of a float32 product with few rows: processors take strips of columns faster than the whole."""
SAFETY = 16
"""Times the rounding of a product: so much further float32 looks than where weights end."""
LARGEST_LOGIT_ERROR = 2e-5
"""Of float32 products. The mean of values in [-1,1] is off by no more."""


def _fits(model: FPMC) -> bool:
    # by exact type: a subclass may be another matrix
    return type(model.precision) is type(model.response) is Uniform


def _path(prepared: PreparedModel) -> str:
    return "whole-images"


def _work(prepared: PreparedModel) -> Work:
    dimensions = prepared.model.shape.dimensions
    return Work(4 * dimensions, 2 * FLOAT_BYTES * dimensions)


def _denoise(
    prepared: PreparedModel, source: Source, z: Tensor, sigma: float, limits: Limits
) -> Tensor:
    """z [B,C,H,W] -> [B,C,H,W] float32."""
    sharing = sharing_of(source)
    rounding = _rounding(source, z, sigma)
    dtype = torch.float32 if rounding < LARGEST_LOGIT_ERROR else torch.float64
    screening = dtype == torch.float64
    dimensions = source.shape.dimensions
    affordable = limits.budget_bytes // 4 // dtype.itemsize
    values = min(GPU_VALUES if z.is_cuda else CACHED_VALUES, affordable)
    images = min(limits.chunk_images or max(1, values // dimensions), len(source))
    # stored codes are used as they are, so that the factor goes to the few queries instead
    scale, middle = (source.scale, 1 / source.scale) if source.is_coded else (1.0, 0.0)
    queries = (z.double().flatten(1) * (scale / sigma**2)).to(dtype)
    priors = source.squared_norms / (-2 * sigma**2)
    if source.log_weights is not None:
        priors = priors + source.log_weights
    priors = priors.to(z.device)
    maximum = queries.new_full((len(z),), torch.finfo(dtype).min)
    weight = torch.zeros_like(maximum)
    total = torch.zeros_like(queries)
    memory = Scratch(z.device, images * dimensions * dtype.itemsize, 1)
    buffer = memory.take((images, dimensions), dtype)
    for start in range(0, len(source), images):
        stored = source.stored(slice(start, start + images)).flatten(1)
        prior = priors[start : start + images]
        if screening:
            narrow = buffer.view(torch.float32).view(-1, dimensions)[: len(stored)]
            near = _near(narrow.copy_(stored).sub_(middle), queries, prior, maximum, rounding)
            screening = len(near) <= WORTH_SELECTING * len(stored)
            if screening:
                stored, prior = stored[near.to(stored.device)], prior[near]
            if not len(stored):
                continue
        codes = buffer[: len(stored)].copy_(stored).sub_(middle)
        logits = torch.nn.functional.linear(codes, queries)  # faster than its transpose
        logits += prior[:, None].to(logits)
        largest = torch.maximum(maximum, logits.amax(0))
        logits -= largest
        factor = (maximum - largest).exp_()
        maximum = largest
        heavy = (logits.amax(1) > -FURTHEST).nonzero()[:, 0]  # for any query
        if len(heavy) <= WORTH_SELECTING * len(codes):
            codes, logits = codes[heavy], logits[heavy]
        weights = logits.exp_().T.contiguous()
        weight = weight * factor + weights.sum(1)
        total.mul_(factor[:, None]).add_(_weighted_sums(weights, codes))
    if sharing:
        largest = -sharing.minimum(-maximum)
        factor = (maximum - largest).exp_()
        weight, total = summed([weight * factor, total.mul_(factor[:, None])], sharing)
    mean = total / weight[:, None] * scale
    return mean.float().reshape(z.shape)


def _near(
    codes: Tensor, queries: Tensor, priors: Tensor, maximum: Tensor, rounding: float
) -> Tensor:
    """Indices of float32 `codes` [n,D] that may have a weight beside the best seen [B] or here."""
    logits = torch.nn.functional.linear(codes, queries.float()) + priors[:, None].float()
    least = torch.finfo(torch.float32).min
    best = torch.maximum(maximum.float(), logits.amax(0)).clamp(min=least)
    reach = FURTHEST + SAFETY * rounding
    return ((logits - best).amax(1) > -reach).nonzero()[:, 0]


def _weighted_sums(weights: Tensor, codes: Tensor) -> Tensor:
    """weights [B,n], codes [n,D] -> [B,D]."""
    images, dimensions = codes.shape
    width, left = divmod(dimensions, STRIPS)
    if codes.dtype == torch.float64 or codes.is_cuda or left or width < NARROWEST_STRIP:
        return weights @ codes
    strips = codes.view(images, STRIPS, width).transpose(0, 1)
    return torch.bmm(weights.expand(STRIPS, *weights.shape), strips).transpose(0, 1).flatten(1)


def _rounding(source: Source, z: Tensor, sigma: float) -> float:
    """How far float32 products move a logit.

    A sum of products is off by a part of the lengths of its factors; in fact by much less, for
    roundings are as often up as down.
    """
    longest = source.squared_norms.max()
    if sharing := sharing_of(source):
        longest = -sharing.minimum(-longest)
    length = float(longest.sqrt())
    product = length * (float(z.flatten(1).norm(dim=1).max()) + length / 2) / sigma**2
    return torch.finfo(torch.float32).eps / 2 * product


WHOLE = Way(_fits, _path, _work, _denoise)
