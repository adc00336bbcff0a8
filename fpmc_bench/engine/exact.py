"""Streaming with as many digits as a query needs.

Everything is first computed in float32. A float32 distance is wrong by a part of itself, so after
the fact the smallest energies say how far off logits can be: a query for which that is more than
`TOLERANCE` is computed again in float64. Low noise far from the data is where that happens.
"""

import math

import torch
from torch import Tensor

from fpmc_bench.engine.prepared import PreparedModel
from fpmc_bench.engine.sizes import sizes_for
from fpmc_bench.engine.streaming import stream
from fpmc_bench.source import Source

TOLERANCE = 2e-3
"""Of a logit, and so of a weight. Images of like weight are alike, and errors have both signs, so
that the mean is off by a tenth of that at most."""


def stream_exactly(
    prepared: PreparedModel,
    source: Source,
    z: Tensor,
    sigma: float,
    budget_bytes: int,
    chunk_images: int | None = None,
    batch_queries: int | None = None,
) -> Tensor:
    """float32 for all queries, and float64 for those that need it: [B,C,H,W] float32."""

    def run(queries: Tensor) -> tuple[Tensor, Tensor]:
        sizes = sizes_for(
            prepared,
            len(source),
            len(queries),
            queries.dtype,
            budget_bytes,
            on_gpu=queries.is_cuda,
            chunk_images=chunk_images,
            batch_queries=batch_queries,
        )
        posterior = stream(prepared, source, queries, sigma, sizes)
        return posterior.mean, logit_error(prepared, posterior.energy, sigma)

    mean, error = run(z.float())
    unsure = error > TOLERANCE
    if bool(unsure.any()):
        mean[unsure], _ = run(z[unsure].double())
    return mean


def logit_error(prepared: PreparedModel, energy: Tensor, sigma: float) -> Tensor:
    """How far float32 logits near the largest can be off, for energies [B] of the best images.

    Sums of positive terms are wrong by a part of themselves, which grows like the root of their
    number; differences by the rounding of z and x, both in units of sqrt(2) sigma.
    """
    unit = torch.finfo(torch.float32).eps / 2
    sums = unit * (2 + math.sqrt(prepared.precision.terms) / 4) * energy
    differences = 2 * unit / sigma * (2 * energy).sqrt()
    return sums + differences
