"""LinearMap: one filter made ready to multiply, for one device and one kind of arithmetic.

Values have one row a pixel (or a dimension) and one column a (query, source image) pair:

    apply(values [K,P]) -> [M,P]       filtered sums, Q S^T; keeps float32 and float64 apart
    adjoint(weights [M,P]) -> [K,P]    each estimator's weight spread over pixels, R^T W, float32

Rows lie one after another in memory, so that every product here is a sum of long vectors.
"""

from abc import ABC, abstractmethod
from typing import ClassVar

from torch import Tensor

from fpmc_bench.fpmc.held import held_bytes


class LinearMap(ABC):
    """A matrix [M,K] with its two fast products."""

    path: ClassVar[str]
    """The name of the way it is multiplied, for reports."""

    gpu_arrays: ClassVar[int] = 0
    """Working arrays as tall as the taller side that a product takes on a GPU, beside its factor
    and itself."""

    estimators: int
    columns: int
    terms: int
    """The longest chain of additions in a sum: what its rounding grows with, as its root."""
    operations: int
    """Additions and multiplications that one column of `apply` takes."""

    @property
    def nbytes(self) -> int:
        """Of the tensors that the map holds, those that it shares with its filter among them."""
        return held_bytes(vars(self))

    @abstractmethod
    def apply(self, values: Tensor) -> Tensor:
        """[K,P] -> [M,P], in the dtype of `values`."""

    @abstractmethod
    def adjoint(self, weights: Tensor) -> Tensor:
        """[M,P] float32 -> [K,P], possibly as a view that repeats rows."""
