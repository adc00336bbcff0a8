"""Which pixels search which: those of the query, and their candidates in every source image."""

from dataclasses import dataclass, field
from functools import cached_property, lru_cache

import torch
from torch import Tensor

from fpmc_bench.engine.maps.bags import Bags
from fpmc_bench.engine.maps.choose import is_binary


@dataclass(frozen=True, eq=False)
class Search:
    """Some pixels of the query in `groups`, each with candidates of its own in every image.

    Image rows are products of rows `window` wide at every column that has one, weighted by
    `rows`. Offers, for row patches a [h,I,K] of a query and b [n,h,I,K] of n images, of the image
    rows `near`:

        values_per_image(width)        numbers in one query's product with an image, width = I
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
        """From the middle of the window to its end."""
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
