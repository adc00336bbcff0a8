"""Maps without arithmetic worth the name: the matrix of ones, and the identity."""

from typing import ClassVar

from torch import Tensor

from fpmc_bench.engine.maps.base import LinearMap


class Ones(LinearMap):
    """A single estimator that sums everything."""

    path: ClassVar[str] = "sum"

    def __init__(self, columns: int) -> None:
        self.estimators, self.columns = 1, columns
        self.terms, self.operations = columns, columns

    def apply(self, values: Tensor) -> Tensor:
        return values.sum(0, keepdim=True)

    def adjoint(self, weights: Tensor) -> Tensor:
        return weights.expand(self.columns, -1)


class Identity(LinearMap):
    """Every row is its own estimator."""

    path: ClassVar[str] = "identity"

    def __init__(self, columns: int) -> None:
        self.estimators = self.columns = columns
        self.terms, self.operations = 1, 0

    def apply(self, values: Tensor) -> Tensor:
        return values

    def adjoint(self, weights: Tensor) -> Tensor:
        return weights
