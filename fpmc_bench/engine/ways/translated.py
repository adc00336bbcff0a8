"""Evaluation where each pixel's source holds every image at many translations (`els`).

Pixels whose squares lie inside the image search one another's: pixel (y,x) of the query meets
pixel (y',x') of every image. Those nearer to the top or bottom search along their row, those
nearer to the left or right along their column, and the corners stay, which is plain `ls`.

A square's inner product is a sum over its rows of the products of rows. All pairs of rows meet in
one matrix product, and the square at (y,x) against that at (y',x') sums them along the diagonal
(y+j, y'+j): a side_px-th of the arithmetic of comparing whole squares.
"""

from functools import partial

import torch
from torch import Tensor

from fpmc_bench.engine.blocks import FLOAT_BYTES
from fpmc_bench.engine.exact import stream_exactly
from fpmc_bench.engine.machine.sizes import Limits
from fpmc_bench.engine.merging import share_minima, share_sums
from fpmc_bench.engine.parts import sharing_of
from fpmc_bench.engine.prepared import PreparedModel
from fpmc_bench.engine.searches import EdgeSearch, InteriorSearch, Search
from fpmc_bench.engine.softmax import RunningSoftmax
from fpmc_bench.engine.ways.base import SOFTMAX_OPERATIONS, Way, Work
from fpmc_bench.fpmc import FPMC, Separable
from fpmc_bench.fpmc.source import Source

CACHED_VALUES = 2**20
"""Products of rows in one working array on a processor."""
GPU_VALUES = 2**27


def _fits(model: FPMC) -> bool:
    """Whether any pixel's source holds more than one translation."""
    translations, shape = model.translations, model.shape
    longest = max(shape.height_px, shape.width_px)
    return translations is not None and 2 * translations.radius_px < longest


def _path(prepared: PreparedModel) -> str:
    return "row-products"


def _work(prepared: PreparedModel) -> Work:
    """The interior alone, beside which borders are small."""
    model = prepared.model
    assert model.translations is not None
    channels, height, width = model.shape
    k = model.translations.radius_px
    rows, columns = max(height - 2 * k, 0), max(width - 2 * k, 0)
    products, weights = (height * columns) ** 2, (rows * columns) ** 2
    length = channels * (2 * k + 1) + 1
    operations = 2 * length * products + (2 * k + 1 + SOFTMAX_OPERATIONS + 2 * channels) * weights
    return Work(operations, 2 * FLOAT_BYTES * (products + 2 * weights))


def _denoise(
    prepared: PreparedModel, source: Source, z: Tensor, sigma: float, limits: Limits
) -> Tensor:
    """z [B,C,H,W] -> [B,C,H,W] float32."""
    model = prepared.model
    assert model.translations is not None
    assert isinstance(model.precision, Separable)
    _, height, width = model.shape
    k = model.translations.radius_px
    rows, columns = model.precision.rows, model.precision.columns
    inner_y, inner_x = range(k, max(height - k, k)), range(k, max(width - k, k))
    dtype = _product_dtype(model.shape.channels * (2 * k + 1) ** 2, sigma)
    search = partial(_search, dtype=dtype, limits=limits)
    # corners stay where they are; all else is overwritten
    result = stream_exactly(prepared, source, z, sigma, limits)
    if inner_x:
        window = columns[k, : 2 * k + 1]
        for part in (range(k), range(height - k, height)) if inner_y else (range(height),):
            if part:
                edge = search(EdgeSearch(rows, window, part), source, z, sigma)
                result[:, :, part.start : part.stop, k : width - k] = edge
        if inner_y:
            interior = search(InteriorSearch(rows, window, inner_y), source, z, sigma)
            result[:, :, k : height - k, k : width - k] = interior
    if inner_y:
        window = rows[k, : 2 * k + 1]
        turned = source.mapped(lambda images: images.transpose(2, 3))
        for part in (range(k), range(width - k, width)) if inner_x else (range(width),):
            if part:
                edge = search(EdgeSearch(columns, window, part), turned, z.transpose(2, 3), sigma)
                result[:, :, k : height - k, part.start : part.stop] = edge.transpose(2, 3)
    return result


def _search(
    search: InteriorSearch | EdgeSearch,
    source: Source,
    z: Tensor,
    sigma: float,
    *,
    dtype: torch.dtype,
    limits: Limits,
) -> Tensor:
    """The posterior means of a search's pixels: [B,C,target rows,I]."""
    channels, width = z.shape[1], z.shape[3] - 2 * search.radius_px
    values = GPU_VALUES if z.is_cuda else CACHED_VALUES
    # products, their sums, weights, and what rounding to float32 needs
    values = min(values, limits.budget_bytes // 8 // dtype.itemsize)
    images = limits.chunk_images or max(1, values // search.values_per_image(width))
    queries = _query_rows(search, z.to(dtype), sigma)
    states: list[RunningSoftmax] = []
    totals: list[Tensor] = []
    for block, log_weights in source.chunks(min(images, len(source)), z.device, dtype):
        candidates = search.arranged(_candidate_rows(search, block, sigma))
        votes = search.votes(block.float())
        for index, query in enumerate(queries):
            energies = search.energies(query, candidates, len(block))
            if source.log_weights is not None:
                energies -= log_weights.repeat_interleave(energies.shape[2] // len(block))
            if index == len(states):
                states.append(RunningSoftmax.start(len(votes), energies.shape[1], energies))
                size = (len(votes), channels, energies.shape[1])
                totals.append(torch.zeros(size, device=z.device, dtype=torch.float32))
            weights, factor = states[index].update(energies)
            totals[index] *= factor[:, None]
            totals[index] += votes @ weights.transpose(1, 2)
    if sharing := sharing_of(source):
        for total, factor in zip(totals, share_minima(states, sharing), strict=True):
            total *= factor[:, None]
        totals = share_sums(states, totals, sharing)
    means = [total / state.total[:, None] for total, state in zip(totals, states, strict=True)]
    grid = torch.stack(means).transpose(1, 2)  # [B,C,G,R]
    return grid.reshape(len(z), channels, len(search.targets), width)


def _row_patches(images: Tensor, side_px: int) -> Tensor:
    """[n,C,H,W] -> [n,H,I,C*side]: what lies beside every pixel that has a whole window."""
    return images.unfold(3, side_px, 1).permute(0, 2, 3, 1, 4).flatten(3)


def _query_rows(search: Search, z: Tensor, sigma: float) -> Tensor:
    """-w z / sigma^2 and a one, whose product with `_candidate_rows` is an energy: [B,H,I,K]."""
    weights = search.window.to(z) / -(sigma**2)
    rows = _row_patches(z[:, :, search.near], len(weights)) * weights.repeat(z.shape[1])
    return torch.cat([rows, torch.ones_like(rows[..., :1])], dim=-1)


def _candidate_rows(search: Search, x: Tensor, sigma: float) -> Tensor:
    """x and w |x|^2 / 2 sigma^2: [n,H,I,K]. |z|^2 is the same for all, so that softmax drops it."""
    rows = _row_patches(x[:, :, search.near], len(search.window))
    weights = search.window.to(x).repeat(x.shape[1]) / (2 * sigma**2)
    return torch.cat([rows, (rows.square() @ weights)[..., None]], dim=-1)


def _product_dtype(dimensions: int, sigma: float) -> torch.dtype:
    """float64 where the expanded square would cost float32 its digits.

    Products of `dimensions` terms are wrong by about 1e-7 of their number; over sigma^2 that must
    stay below 1e-3 of a logit.
    """
    return torch.float32 if sigma**2 >= 5e-4 * dimensions else torch.float64


TRANSLATED = Way(_fits, _path, _work, _denoise)
