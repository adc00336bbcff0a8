"""Products with a matrix that has no structure, in float32 or in parts that bfloat16 can hold."""

from typing import Any, ClassVar

import torch
from torch import Tensor

from fpmc_bench.engine.maps.base import LinearMap

PARTS = 3
"""bfloat16 has 8 significant bits, so three parts hold the 24 of a float32 exactly."""


class Product(LinearMap):
    """The plain matrix product, in the dtype of what it is applied to."""

    path: ClassVar[str] = "float32"

    def __init__(self, matrix: Tensor) -> None:
        self.estimators, self.columns = matrix.shape
        self._single = matrix.float()
        self._given = matrix
        self.operations = 2 * matrix.numel()
        # kernels cut long sums into blocks of a few hundred
        self.terms = min(self.columns, 512)

    def apply(self, values: Tensor) -> Tensor:
        matrix = self._single if values.dtype == torch.float32 else self._given.to(values)
        return matrix @ values

    def adjoint(self, weights: Tensor) -> Tensor:
        return self._single.T @ weights


class SplitProduct(Product):
    """A binary matrix on bfloat16 units, exact to float32: for matrices of zeros and ones alone.

    Zeros and ones are exact in bfloat16, and a float32 number is the sum of three bfloat16
    numbers, so three products with float32 sums lose nothing. (A bfloat16 *output* would be
    wrong by 0.6 on distances near 200, hence float32 tensors on the processor and `out_dtype`
    on a GPU.)
    """

    path: ClassVar[str] = "bfloat16x3"
    # what is left to split, the parts one by one and side by side, and their products
    gpu_arrays: ClassVar[int] = 1 + 3 * PARTS

    def __init__(self, matrix: Tensor) -> None:
        if matrix.dtype != torch.bool:
            raise TypeError(f"only a boolean matrix is exact in bfloat16, got {matrix.dtype}")
        super().__init__(matrix)
        self.operations *= PARTS

    def apply(self, values: Tensor) -> Tensor:
        return split_product(self._single, values) if _splits(values) else super().apply(values)

    def adjoint(self, weights: Tensor) -> Tensor:
        return split_product(self._single.T, weights)


def _splits(values: Tensor) -> bool:
    return values.dtype == torch.float32


def split_product(matrix: Tensor, values: Tensor) -> Tensor:
    """matrix [M,K], whose entries bfloat16 holds, times values [K,P] float32: [M,P] float32."""
    parts = torch.cat(bfloat16_parts(values), dim=1)
    if values.is_cuda:
        product = torch.mm(matrix.bfloat16(), parts.bfloat16(), out_dtype=torch.float32)
    else:
        with _bfloat16_units():
            product = matrix @ parts
    first, *others = product.chunk(PARTS, dim=1)
    # smallest first, so that their sum is not rounded away
    total = others.pop()
    for part in reversed(others):
        total = total + part
    return total + first


def bfloat16_parts(values: Tensor) -> list[Tensor]:
    """Three float32 tensors of bfloat16 numbers, largest first, that add up to `values`."""
    parts, rest = [], values
    for _ in range(PARTS):
        part = rest.bfloat16().float()
        rest = rest - part
        parts.append(part)
    return parts


class _bfloat16_units:  # noqa: N801 - used like a function
    """Let oneDNN read float32 operands as bfloat16: no rounding, where they are such numbers."""

    def __enter__(self) -> None:
        self._settings: Any = torch.backends.mkldnn.matmul  # type: ignore[attr-defined]
        self._before = self._settings.fp32_precision
        self._settings.fp32_precision = "bf16"

    def __exit__(self, *_: object) -> None:
        self._settings.fp32_precision = self._before
