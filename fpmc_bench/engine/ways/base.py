"""What a way of evaluating an FPMC has to say of itself."""

from collections.abc import Callable
from dataclasses import dataclass

from torch import Tensor

from fpmc_bench.engine.machine.sizes import Limits
from fpmc_bench.engine.prepared import PreparedModel
from fpmc_bench.fpmc import FPMC
from fpmc_bench.fpmc.source import Source

SOFTMAX_OPERATIONS = 4
"""A comparison, a subtraction, an exponential and an addition per weight."""


@dataclass(frozen=True)
class Work:
    """How much a (query, source image) pair is, counted, to compare a measured speed with.

    Additions, multiplications and exponentials, and bytes handed from one operation to the next:
    of the float32 path, each array written once and read once. The source's own images are not
    counted: many queries share the reading of them.
    """

    operations: float
    bytes: float


@dataclass(frozen=True)
class Way:
    """One way of evaluating models: which it fits, its name and work, and how it denoises.

    `denoise(prepared, source, z, sigma, limits)` takes z [B,C,H,W] and sigma as the front door
    has checked them, and returns D(z, sigma) [B,C,H,W] float32.
    """

    fits: Callable[[FPMC], bool]
    path: Callable[[PreparedModel], str]
    """Its name, for reports."""
    work: Callable[[PreparedModel], Work]
    denoise: Callable[[PreparedModel, Source, Tensor, float, Limits], Tensor]
