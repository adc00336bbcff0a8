"""How products with binary matrices are taken: by counts, and by what the processor is.

Three ways give the same sums: a plain float32 product, sums of shared subsets, and three products
on bfloat16 units. Which is fastest depends on the processor, and on how full the matrix is. Nothing
is timed: the ways differ in last bits, and figures must not follow from a stopwatch. What costs are
on the machine at hand is measured by `benchmarks/arithmetic.py`, which decides nothing.
"""

import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from types import MappingProxyType
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


KINDS: Mapping[str, Arithmetic] = MappingProxyType(
    {
        # measured on EPYC 9004 (Zen 4): 1.9 to 2.04, and 2.43 to 2.58
        "cpu": Arithmetic(addition=2.0, split_multiply_add=2.5),
        # the others by peaks of their makers: of tiles, of tensor cores and of caches
        "cpu with bfloat16 tiles": Arithmetic(addition=2.0, split_multiply_add=0.5),
        "cuda": Arithmetic(addition=16.0, split_multiply_add=2.0),
        "cuda of a data centre": Arithmetic(addition=16.0, split_multiply_add=0.5),
    }
)
"""What processors are told apart by, and what operations cost on each."""


def arithmetic_on(device: torch.device | str) -> Arithmetic:
    """That of the processor's kind.

    The environment variable FPMC_BENCH_ARITHMETIC forces one of `PATHS`, and what a processor is no
    longer counts: units of machines of different kinds are then the same. UsageError for another
    value of it.
    """
    forced = os.environ.get(VARIABLE, "auto")
    if forced != "auto" and forced not in PATHS:
        raise UsageError(f"{VARIABLE} is '{forced}'; expected auto, {', '.join(PATHS)}")
    return KINDS[kind_of(device)] if forced == "auto" else Arithmetic(1.0, 1.0, forced)


def kind_of(device: torch.device | str) -> str:
    """Which of `KINDS` a device is."""
    device = torch.device(device)
    if device.type == "cuda":
        # 8.0, 9.0, 10.0: twelve and more times as many bfloat16 as float32 operations; others twice
        major, minor = torch.cuda.get_device_capability(device)
        return "cuda of a data centre" if major >= 8 and minor == 0 and major != 12 else "cuda"
    tiles = getattr(torch.cpu, "_is_amx_tile_supported", lambda: False)
    return "cpu with bfloat16 tiles" if tiles() else "cpu"
