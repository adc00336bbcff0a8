"""How much is worked on at a time: from a memory budget, and from what the caches hold."""

from dataclasses import dataclass

import torch

from fpmc_bench.engine.prepared import PreparedModel

CACHED_VALUES = 2**18
"""Numbers in one working array on a processor: 1 MiB of float32, a core's second-level cache."""
GPU_VALUES = 2**26
"""On a GPU: enough for every multiprocessor, with kernels far longer than their launch."""
VECTOR = 64
"""Rows of a multiple of this many numbers are summed with whole vectors."""
FEWEST_KEPT = 4
"""Weights are kept between two passes for this many queries at a time, or not at all: for fewer,
reading the source again costs as much as what is saved."""


@dataclass(frozen=True)
class Sizes:
    """`images` of the source and `queries` in one working array; queries whose weights are kept
    between two passes (0: weights are computed again); and the largest source whose blocks are
    kept then too."""

    images: int
    queries: int
    kept_queries: int
    kept_blocks_bytes: int


def sizes_for(
    prepared: PreparedModel,
    source_images: int,
    queries: int,
    dtype: torch.dtype,
    budget_bytes: int,
    *,
    on_gpu: bool,
    chunk_images: int | None = None,
    batch_queries: int | None = None,
) -> Sizes:
    """Half of the budget is for working arrays, the rest for what is kept between passes."""
    rows = max(prepared.precision.columns, prepared.response.columns, prepared.model.estimators)
    values = GPU_VALUES if on_gpu else CACHED_VALUES
    # differences and their squares, energies, weights, and weights spread over pixels
    affordable = budget_bytes // 2 // (5 * rows * dtype.itemsize)
    pairs = max(1, min(values // rows, affordable))
    if pairs > VECTOR:
        pairs -= pairs % VECTOR
    images = chunk_images or min(source_images, pairs)
    together = batch_queries or max(1, min(queries, pairs // images))
    kept_bytes = source_images * prepared.model.estimators * torch.float32.itemsize
    kept = min(queries, 3 * budget_bytes // 8 // kept_bytes)
    if kept < min(queries, FEWEST_KEPT):
        kept = 0
    return Sizes(images, together, kept, budget_bytes // 8)
