"""Evaluation where each pixel's source holds every image at many translations (`els`).

Pixels whose squares lie inside the image search one another's: pixel (y,x) of the query meets
pixel (y',x') of every image. Those nearer to the top or bottom search along their row, those
nearer to the left or right along their column, and the corners stay, which is plain `ls`.

A square's inner product is a sum over its rows of the products of rows. All pairs of rows meet in
one matrix product, and the square at (y,x) against that at (y',x') sums them along the diagonal
(y+j, y'+j): a side_px-th of the arithmetic of comparing whole squares.
"""

from dataclasses import dataclass, field
from functools import cached_property, lru_cache, partial

import torch
from torch import Tensor

from fpmc_bench.engine.exact import stream_exactly
from fpmc_bench.engine.maps.bags import Bags
from fpmc_bench.engine.maps.choose import is_binary
from fpmc_bench.engine.prepared import PreparedModel
from fpmc_bench.engine.softmax import RunningSoftmax
from fpmc_bench.fpmc import Separable
from fpmc_bench.source import Source

CACHED_VALUES = 2**20
"""Products of rows in one working array on a processor."""
GPU_VALUES = 2**27


@dataclass(frozen=True, eq=False)
class Search:
    """Some pixels of the query in `groups`, each with candidates of its own in every image.

    Image rows are products of rows `window` wide at every column that has one, weighted by
    `rows`. Offers, for row patches a [h,I,K] of a query and b [n,h,I,K] of n images, of the image
    rows `near`:

        arranged(b)                    b as the product takes it, once for all queries
        energies(a, arranged, n) -> [G,R,n*T]    of R query pixels and T candidates an image, in
                                       G groups
        votes(images) -> [G,C,n*T]     the values that candidates stand for
    """

    rows: Tensor
    """[H,H]: the weights of image rows around each."""
    window: Tensor
    """[side]: the weights of columns around one that is not near the border."""
    targets: range
    """Of image rows: those that are searched."""

    @property
    def radius_px(self) -> int:
        return len(self.window) // 2

    @property
    def near(self) -> slice:
        """Image rows whose products count."""
        return slice(None)


@dataclass(frozen=True, eq=False)
class InteriorSearch(Search):
    """Every pixel of the interior against every pixel of the interior: one group."""

    buffers: dict[tuple[int, int], Tensor] = field(default_factory=dict)

    def values_per_image(self, width: int) -> int:
        return (len(self.rows) * width) ** 2

    def arranged(self, b: Tensor) -> Tensor:
        return b.flatten(0, 2).T

    def energies(self, a: Tensor, arranged: Tensor, images: int) -> Tensor:
        height, width, _ = a.shape
        products = self._products(a.flatten(0, 1), arranged)
        table = products.reshape(height, width, images, height, width)
        return self._diagonal_sums(table).reshape(1, len(self.targets) * width, -1)

    def _products(self, a: Tensor, b: Tensor) -> Tensor:
        """a @ b where the last products were: new memory would cost as much as the product."""
        shape = (len(a), b.shape[1])
        if shape not in self.buffers:
            self.buffers[shape] = a.new_empty(shape)
        return torch.mm(a, b, out=self.buffers[shape])

    def _diagonal_sums(self, products: Tensor) -> Tensor:
        """[y,x,n,y',x'] summed over (y+j, y'+j), j along a square: [Y,I,n,Y,I]."""
        k, size = self.radius_px, len(self.targets)
        weights = self.rows[self.targets.start, self.targets.start - k :][: 2 * k + 1]
        if products.dtype == torch.float32 and is_binary(weights):
            bags = _diagonals(len(self.rows), size, *products.shape[1:3], products.device)
            return bags.sum(products.flatten(0, 3))
        total = torch.zeros_like(products[:size, :, :, :size])
        for j, weight in enumerate(weights.tolist()):
            total.add_(products[j : j + size, :, :, j : j + size], alpha=weight)
        return total

    def votes(self, images: Tensor) -> Tensor:
        k = self.radius_px
        inner = images[:, :, self.targets.start : self.targets.stop, k : images.shape[3] - k]
        return inner.permute(1, 0, 2, 3).reshape(1, images.shape[1], -1)


@lru_cache(maxsize=2)
def _diagonals(height: int, size: int, width: int, images: int, device: torch.device) -> Bags:
    """Rows (y+j, x, n, y'+j) of a table of products, for all j, in bags (y, x, n, y')."""
    steps = [torch.arange(length, device=device) for length in (size, width, images)]
    y, x, n = torch.meshgrid(*steps, indexing="ij")
    first = ((y * width + x) * images + n) * height
    bags = first[..., None] + torch.arange(size, device=device)
    side_px = height - size + 1
    along = torch.arange(side_px, device=device) * (width * images * height + 1)
    indices = (bags[..., None] + along).flatten()
    return Bags.ragged(indices, torch.full((bags.numel(),), side_px, device=device))


class EdgeSearch(Search):
    """Pixels of each target row against those of the same row: one group a row."""

    @cached_property
    def near(self) -> slice:
        weighty = self.rows[list(self.targets)].any(0).nonzero()
        return slice(int(weighty.min()), int(weighty.max()) + 1)

    def values_per_image(self, width: int) -> int:
        return len(self.rows) * width**2

    def arranged(self, b: Tensor) -> Tensor:
        return b.permute(1, 3, 0, 2).flatten(2)

    def energies(self, a: Tensor, arranged: Tensor, images: int) -> Tensor:
        width = a.shape[1]
        same_row = a @ arranged  # [h,I,n*I]
        weights = self.rows[list(self.targets), self.near].to(same_row)
        return (weights @ same_row.flatten(1)).reshape(len(self.targets), width, -1)

    def votes(self, images: Tensor) -> Tensor:
        k = self.radius_px
        rows = images[:, :, list(self.targets), k : images.shape[3] - k]
        return rows.permute(2, 1, 0, 3).flatten(2)


def denoise_translated(
    prepared: PreparedModel,
    source: Source,
    z: Tensor,
    sigma: float,
    budget_bytes: int,
    chunk_images: int | None = None,
) -> Tensor:
    """z [B,C,H,W] -> [B,C,H,W] float32."""
    model = prepared.model
    assert model.translations is not None
    assert isinstance(model.precision, Separable)
    _, height, width = model.shape
    k = model.translations.radius_px
    rows, columns = model.precision.rows, model.precision.columns
    inner_y, inner_x = range(k, max(height - k, k)), range(k, max(width - k, k))
    dtype = product_dtype(model.shape.channels * (2 * k + 1) ** 2, sigma)
    search = partial(_search, dtype=dtype, budget_bytes=budget_bytes, chunk_images=chunk_images)
    # corners stay where they are; all else is overwritten
    result = stream_exactly(prepared, source, z, sigma, budget_bytes, chunk_images)
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
        turned = Source(source.images.transpose(2, 3), source.log_weights, source.scale)
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
    budget_bytes: int,
    chunk_images: int | None,
) -> Tensor:
    """The posterior means of a search's pixels: [B,C,target rows,I]."""
    channels, width = z.shape[1], z.shape[3] - 2 * search.radius_px
    values = GPU_VALUES if z.is_cuda else CACHED_VALUES
    # products, their sums, weights, and what rounding to float32 needs
    values = min(values, budget_bytes // 8 // dtype.itemsize)
    images = chunk_images or max(1, values // search.values_per_image(width))
    queries = _query_rows(search, z.to(dtype), sigma)
    states: list[RunningSoftmax | None] = [None] * len(z)
    totals: list[Tensor] = []
    for block, log_weights in source.chunks(min(images, len(source)), z.device, dtype):
        candidates = search.arranged(_candidate_rows(search, block, sigma))
        votes = search.votes(block.float())
        for index, query in enumerate(queries):
            energies = search.energies(query, candidates, len(block))
            if source.log_weights is not None:
                energies -= log_weights.repeat_interleave(energies.shape[2] // len(block))
            state = states[index]
            if state is None:
                state = RunningSoftmax.start(len(votes), energies.shape[1], energies)
                states[index] = state
                totals.append(torch.zeros(len(votes), channels, energies.shape[1], device=z.device))
            weights, factor = state.update(energies)
            totals[index] *= factor[:, None]
            totals[index] += votes @ weights.transpose(1, 2)
    means = [
        total / state.total[:, None]
        for total, state in zip(totals, states, strict=True)
        if state is not None
    ]
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


def product_dtype(dimensions: int, sigma: float) -> torch.dtype:
    """float64 where the expanded square would cost float32 its digits.

    Products of `dimensions` terms are wrong by about 1e-7 of their number; over sigma^2 that must
    stay below 1e-3 of a logit.
    """
    return torch.float32 if sigma**2 >= 5e-4 * dimensions else torch.float64
