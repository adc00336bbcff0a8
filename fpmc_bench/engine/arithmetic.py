"""How products with binary matrices are taken on this machine: measured once, or as told.

Three ways give the same sums: a plain float32 product, sums of shared subsets, and three products
on bfloat16 units. Which is fastest depends on the processor, and on how full the matrix is. The
first two numbers that decide it are measured on a matrix of typical size; the last is counted.
"""

import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import asdict, dataclass
from functools import cache
from statistics import median
from typing import Any

import torch

from fpmc_bench.engine.maps.products import Product, SplitProduct
from fpmc_bench.engine.maps.subset_sums import SubsetSums
from fpmc_bench.errors import UsageError

VARIABLE = "FPMC_BENCH_ARITHMETIC"
PATHS = (Product.path, SubsetSums.path, SplitProduct.path)

_chosen: ContextVar["Arithmetic | None"] = ContextVar("arithmetic", default=None)


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


def current_arithmetic(device: torch.device | str) -> Arithmetic:
    """What `using` says, or else this machine's, measured at the first call."""
    return _chosen.get() or measured_arithmetic(str(device))


@contextmanager
def using(arithmetic: Arithmetic) -> Iterator[None]:
    """Use the given numbers: a run and all its processes decide alike."""
    token = _chosen.set(arithmetic)
    try:
        yield
    finally:
        _chosen.reset(token)


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
    plain = _seconds(lambda: product.apply(values), device) / matrix.numel()
    addition = _seconds(lambda: sums.apply(values), device) / sums.operations
    split_time = _seconds(lambda: split.apply(values), device) / matrix.numel()
    return Arithmetic(
        addition=round(addition / plain, 2),
        split_multiply_add=round(split_time / plain, 2),
        forced=None if forced == "auto" else forced,
    )


def _seconds(work: Callable[[], object], device: str, repetitions: int = 7) -> float:
    """The median time of a call, after one to warm up."""

    def once() -> float:
        started = time.perf_counter()
        work()
        if device.startswith("cuda"):
            torch.cuda.synchronize(device)
        return time.perf_counter() - started

    once()
    return median(once() for _ in range(repetitions))
