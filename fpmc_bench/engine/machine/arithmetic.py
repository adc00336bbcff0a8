"""How products with binary matrices are taken on this machine: measured once, or as told.

Three ways give the same sums: a plain float32 product, sums of shared subsets, and three products
on bfloat16 units. Which is fastest depends on the processor, and on how full the matrix is. The
first two numbers that decide it are measured on a matrix of typical size; the last is counted.
"""

import math
import os
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from functools import cache
from typing import Any

import torch

from fpmc_bench.engine.maps.products import Product, SplitProduct
from fpmc_bench.engine.maps.subset_sums import SubsetSums
from fpmc_bench.errors import UsageError

VARIABLE = "FPMC_BENCH_ARITHMETIC"
PATHS = (Product.path, SubsetSums.path, SplitProduct.path)


@dataclass(frozen=True)
class Arithmetic:
    """What an operation costs beside one multiply-add of a float32 product on the same machine.

    `forced` names one of `PATHS` to be used wherever it can be, whatever it costs.
    """

    addition: float
    """Of one row to another, in `subset-sums`."""
    split_multiply_add: float
    """Of a `bfloat16x3` product, all three parts together."""
    forced: str | None = None

    def describe(self) -> dict[str, Any]:
        """Plain data for a record."""
        return asdict(self)

    def cheapest(self, matrix_entries: int, subset_additions: int) -> str:
        """The path for a binary matrix of that many entries and shared subset sums."""
        if self.forced is not None:
            return self.forced
        costs = {
            Product.path: float(matrix_entries),
            SubsetSums.path: self.addition * subset_additions,
            SplitProduct.path: self.split_multiply_add * matrix_entries,
        }
        return min(costs, key=lambda path: costs[path])


@cache
def measured_arithmetic(device: str) -> Arithmetic:
    """Time the three ways on a 1024 x 1024 matrix, an eighth full, with 64 columns.

    The environment variable FPMC_BENCH_ARITHMETIC forces one of them; UsageError for another
    value of it.
    """
    forced = os.environ.get(VARIABLE, "auto")
    if forced != "auto" and forced not in PATHS:
        raise UsageError(f"{VARIABLE} is '{forced}'; expected auto, {', '.join(PATHS)}")
    size, columns = 1024, 64
    draw = torch.Generator().manual_seed(0)
    matrix = (torch.rand(size, size, generator=draw) < 1 / 8).to(device)
    values = torch.rand(size, columns, generator=draw).to(device)
    sums = SubsetSums(matrix, torch.arange(size, device=device))
    product, split = Product(matrix), SplitProduct(matrix)
    plain, add, split_up = _fastest(
        [lambda: product.apply(values), lambda: sums.apply(values), lambda: split.apply(values)],
        device,
    )
    multiply_add = plain / matrix.numel()
    return Arithmetic(
        addition=round(add / sums.operations / multiply_add, 2),
        split_multiply_add=round(split_up / plain, 2),
        forced=None if forced == "auto" else forced,
    )


def _fastest(ways: list[Callable[[], object]], device: str, repetitions: int = 12) -> list[float]:
    """The shortest time of each, taken in turns after one call to warm up.

    The shortest, because whatever else the machine does can only add to it.
    """
    best = [math.inf] * len(ways)
    for turn in range(repetitions + 1):
        for index, way in enumerate(ways):
            started = time.perf_counter()
            way()
            if device.startswith("cuda"):
                torch.cuda.synchronize(device)
            elapsed = time.perf_counter() - started
            best[index] = min(best[index], elapsed) if turn else math.inf
    return best
