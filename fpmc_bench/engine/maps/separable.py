"""Windows that are a product of rows and columns, one axis after the other."""

from typing import ClassVar

import torch
from torch import Tensor

from fpmc_bench.engine.maps.bags import Bags
from fpmc_bench.engine.maps.base import LinearMap
from fpmc_bench.fpmc import Separable


class BoxSums(LinearMap):
    """Binary windows (squares of any side, clipped or not): sums along columns, then rows."""

    path: ClassVar[str] = "box-sums"

    def __init__(self, filter_: Separable, device: torch.device | str) -> None:
        rows, columns = filter_.rows.bool().to(device), filter_.columns.bool().to(device)
        out_rows, self._height, self._width = *rows.shape, columns.shape[1]
        self.estimators, self.columns = filter_.estimators, self._height * self._width
        self._over_rows, self._over_columns = Bags.of(rows), _for_each_row(columns, out_rows)
        self._back_columns, self._back_rows = _for_each_row(columns.T, out_rows), Bags.of(rows.T)
        self._out_rows = out_rows
        self.operations = self._over_rows.additions * self._width + self._over_columns.additions
        self.terms = self._over_columns.longest  # errors of the first sums average out in these

    def apply(self, values: Tensor) -> Tensor:
        pairs = values.shape[1]
        summed = self._over_rows.sum(values.reshape(self._height, -1))
        return self._over_columns.sum(summed.reshape(-1, pairs))

    def adjoint(self, weights: Tensor) -> Tensor:
        pairs = weights.shape[1]
        spread = self._back_columns.sum(weights)
        return self._back_rows.sum(spread.reshape(self._out_rows, -1)).reshape(-1, pairs)


def _for_each_row(columns: Tensor, rows: int) -> Bags:
    """The bags of `columns` [J,W] for every row of a grid [rows,W]: J sums a row."""
    bags = Bags.of(columns)
    shift = torch.arange(rows, device=columns.device)[:, None] * columns.shape[1]
    indices = (bags.indices + shift).flatten()
    return Bags.ragged(indices, bags.offsets.diff().repeat(rows))


class SeparableProduct(LinearMap):
    """Windows of any values (Gaussians): two products with small matrices."""

    path: ClassVar[str] = "separable-product"

    def __init__(self, filter_: Separable, device: torch.device | str) -> None:
        self._rows, self._columns = filter_.rows.to(device), filter_.columns.to(device)
        (out_rows, height), (out_columns, width) = self._rows.shape, self._columns.shape
        self.estimators, self.columns = filter_.estimators, height * width
        self.operations = 2 * out_rows * width * (height + out_columns)
        self.terms = height + width

    def apply(self, values: Tensor) -> Tensor:
        return _both(self._rows.to(values), self._columns.to(values), values)

    def adjoint(self, weights: Tensor) -> Tensor:
        return _both(self._rows.to(weights).T, self._columns.to(weights).T, weights)


def _both(rows: Tensor, columns: Tensor, values: Tensor) -> Tensor:
    """rows [I,H] and columns [J,W] on values [H*W,P] -> [I*J,P]."""
    pairs = values.shape[1]
    summed = (rows @ values.reshape(rows.shape[1], -1)).reshape(len(rows), -1, pairs)
    return torch.matmul(columns, summed).reshape(-1, pairs)
