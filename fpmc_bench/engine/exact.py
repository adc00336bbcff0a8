"""Streaming with as many digits as a query needs.

Everything is first computed in float32. A float32 distance is wrong by a part of itself, so after
the fact the smallest energies say how far off logits can be: a query for which that is more than
`TOLERANCE` is computed again in float64. Low noise far from the data is where that happens.
"""

import math

import torch
from torch import Tensor

from fpmc_bench.engine.machine.sizes import Limits
from fpmc_bench.engine.prepared import PreparedModel
from fpmc_bench.engine.streaming import Posterior, stream
from fpmc_bench.fpmc.source import Source

TOLERANCE = 6e-5
"""Of the mean, as `mean_error` reckons it. That is an error's size and not its bound: searches
found up to 1.5 times as much, and 1e-4 is promised."""

LARGEST_LOGIT_ERROR = 0.3
"""Beyond this the weights found are themselves no guide to how wrong they are."""


def stream_exactly(
    prepared: PreparedModel, source: Source, z: Tensor, sigma: float, limits: Limits
) -> Tensor:
    """D(z, sigma) of z [B,C,H,W] by streaming, [B,C,H,W] float32.

    Distances are float32 for all queries, and float64 again for those that need it.
    """
    found = stream(prepared, source, z.float(), sigma, limits)
    logits = logit_error(prepared, found, sigma)
    unsure = (logits > LARGEST_LOGIT_ERROR).any(0)
    unsure |= (mean_error(prepared, found, logits) > TOLERANCE).any(0)
    rows = unsure.nonzero()[:, 0]  # once: a GPU is waited for
    if len(rows):
        exact = stream(prepared, source, z[rows].double(), sigma, limits)
        found.mean[rows] = exact.mean
    return found.mean


def logit_error(prepared: PreparedModel, found: Posterior, sigma: float) -> Tensor:
    """How far float32 logits near the largest are off, [M,B] in nats.

    Sums are wrong by a part of themselves that grows like the root of their number of terms. Each
    term is wrong by a part of itself, and the more there are the more of that averages out. z and
    x, in units of sqrt(2) sigma, are themselves rounded.
    """
    unit = torch.finfo(torch.float32).eps / 2
    full = found.full.abs()
    sums = (1.5 + math.sqrt(prepared.precision.terms) / 3) * found.minimum.abs()
    terms = 3 * full / prepared.mass[:, None].sqrt()
    return unit * (sums + terms + (8 * full).sqrt() / sigma)


def mean_error(prepared: PreparedModel, found: Posterior, logit_error: Tensor) -> Tensor:
    """How far the means are off for logits that are off by `logit_error` [M,B]: [K,B].

    sum_n w_n delta_n (x_n - mean) for independent errors delta_n is their size times the spread
    of what is averaged, times the root of the largest weight where many share it, or of what is
    left for the others where one has almost all.
    """
    share = torch.minimum(found.total.rsqrt(), (1 - 1 / found.total).sqrt())
    error = prepared.response.adjoint(logit_error.float() * share)
    return error / prepared.coverage[:, None] * found.spread
