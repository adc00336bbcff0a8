"""How much is worked on at a time: from a memory budget, and from what the caches hold."""

from dataclasses import dataclass

import torch

CACHED_VALUES = 2**18
"""Numbers in one working array on a processor: 1 MiB of float32, a core's second-level cache."""
GPU_VALUES = 2**26
"""On a GPU: enough for every multiprocessor, with kernels far longer than their launch."""


@dataclass(frozen=True)
class Limits:
    """What one evaluation may take: working memory beside the source, and sizes that override
    those which follow from it."""

    budget_bytes: int
    chunk_images: int | None = None
    batch_queries: int | None = None


@dataclass(frozen=True)
class Demand:
    """What a computation has in memory for every (query, source image) pair, a column of arrays.

    Half of the budget is for working arrays, `kept_part` of it for columns that are kept between
    two passes, `blocks_part` for blocks of the source that are.
    """

    rows: int
    """Of the tallest working array."""
    arrays: int
    """Of that height that exist at the same time."""
    kept_bytes: int
    """Of a column that is kept."""
    kept_part: float
    fewest_kept: int = 1
    """Queries: for fewer nothing is kept."""
    blocks_part: float = 0.0
    vector: int = 1
    """Columns are a multiple of this, where there are that many."""
    block_rows: int = 0
    """Numbers of one image in the arrays that hold a block, counted on a GPU: on a processor a
    block is as small as its cache."""
    gpu_arrays: int = 0
    """Further working arrays, on a GPU."""


@dataclass(frozen=True)
class Sizes:
    """`images` of the source and `queries` in one working array; for how many queries columns are
    kept between two passes (0: they are computed again); and the largest source whose blocks are.
    """

    images: int
    queries: int
    kept_queries: int
    kept_blocks_bytes: int


def sizes_for(
    demand: Demand,
    source_images: int,
    queries: int,
    dtype: torch.dtype,
    limits: Limits,
    *,
    on_gpu: bool,
) -> Sizes:
    """The largest sizes that the limits afford and caches favour; at least one image and query.

    `dtype` is that of the working arrays.
    """
    values = GPU_VALUES if on_gpu else CACHED_VALUES
    numbers = limits.budget_bytes // 2 // dtype.itemsize
    of_image = demand.block_rows * on_gpu
    of_pair = (demand.arrays + demand.gpu_arrays * on_gpu) * demand.rows
    # as many images as there is room for with one query each, then as many queries
    pairs = min(values // demand.rows, numbers // (of_pair + of_image))
    images = limits.chunk_images or min(source_images, _whole(pairs, demand.vector))
    pairs = min(values // demand.rows, (numbers - images * of_image) // of_pair)
    together = max(1, min(queries, _whole(pairs, demand.vector) // images))
    together = limits.batch_queries or together
    kept_bytes = int(limits.budget_bytes * demand.kept_part)
    kept = min(queries, kept_bytes // (source_images * demand.kept_bytes))
    if kept < min(queries, demand.fewest_kept):
        kept = 0
    return Sizes(images, together, kept, int(limits.budget_bytes * demand.blocks_part))


def _whole(pairs: int, vector: int) -> int:
    """At least 1, and whole vectors where there are any."""
    return pairs - pairs % vector if pairs > vector else max(1, pairs)
