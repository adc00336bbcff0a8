"""The conformance kit catches every kind of denoiser that breaks a promise."""

import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar, Literal

import pytest
import torch
from torch import Tensor

from fpmc_bench import FPMC
from fpmc_bench.contracts import DenoiseFunction, FPMCDenoiser, FunctionDenoiser, Setting
from fpmc_bench.fpmc import PixelMasks, Uniform
from fpmc_bench.testing import check_denoiser

Fault = Literal[
    "none",
    "shape",
    "dtype",
    "always float32",
    "nan",
    "batch",
    "chance",
    "source",
    "threads",
    "exit",
]

FAULTS: dict[Fault, Callable[[Tensor], Tensor]] = {
    "none": lambda z: z.clamp(-1, 1),
    "shape": lambda z: z.flatten(1),
    "dtype": lambda z: z.double(),
    "always float32": lambda z: z.float(),
    "nan": lambda z: (1 - z / 4).sqrt(),
    "batch": lambda z: z - z.mean(0, keepdim=True),
    "chance": lambda z: z + torch.rand(1),
    "source": lambda z: z,
    "threads": lambda z: torch.set_num_threads(torch.get_num_threads() + 1) or z,
    "exit": lambda z: sys.exit(0),
}


@dataclass(frozen=True)
class Faulty(FunctionDenoiser):
    """A function of z alone with one fault, or none."""

    name: ClassVar[str] = "faulty"
    citation: ClassVar[str] = "none"

    fault: Fault

    def build(self, setting: Setting) -> DenoiseFunction:
        if self.fault == "source":
            setting.source.images.mul_(0.5)
        return lambda z, sigma: FAULTS[self.fault](z)


class Misreported(Uniform):
    """A filter that says another matrix than the one it is taken for."""

    def dense(self) -> Tensor:
        return super().dense() / 2


@dataclass(frozen=True)
class Inexact(FPMCDenoiser):
    """A collection of which the engine and the oracle see different filters."""

    name: ClassVar[str] = "inexact"
    citation: ClassVar[str] = "none"

    def fpmc(self, setting: Setting, sigma: float) -> FPMC:
        return FPMC(Misreported(setting.shape), Uniform(setting.shape))


@dataclass(frozen=True)
class Gaussian(FPMCDenoiser):
    """A sound method that is none of the built-in ones: soft windows, needs nothing."""

    name: ClassVar[str] = "gaussian"
    citation: ClassVar[str] = "none"

    def fpmc(self, setting: Setting, sigma: float) -> FPMC:
        _, height, width = setting.shape
        y, x = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
        pixels = torch.stack([y, x], dim=-1).reshape(-1, 2).double()
        windows = (-torch.cdist(pixels, pixels).square() / 4).exp().unflatten(1, (height, width))
        return FPMC(PixelMasks(setting.shape, windows), PixelMasks(setting.shape, windows))


@pytest.mark.parametrize(
    ("fault", "complaint"),
    [
        ("shape", r"faulty at sigma 80: shape \[5, 90\], not \[5, 3, 6, 5\]"),
        ("dtype", "faulty at sigma 80: dtype torch.float64, not torch.float32"),
        ("always float32", "faulty at sigma 80: dtype torch.float32, not torch.float64"),
        ("nan", "faulty at sigma .*: NaN or infinite values"),
        ("batch", "faulty at sigma 80: batching moves the output by"),
        ("chance", "faulty at sigma 80: asked twice, its values differ by"),
        ("source", "faulty: building it changes its source"),
        ("threads", "'faulty' changed torch's number of threads"),
        ("exit", "'faulty' raised SystemExit: 0"),
    ],
)
def test_a_broken_promise_is_named(fault: Fault, complaint: str) -> None:
    with pytest.raises(AssertionError, match=complaint):
        check_denoiser(Faulty, {"fault": fault})


def test_a_collection_that_is_not_its_matrix_is_caught() -> None:
    with pytest.raises(AssertionError, match=r"inexact at sigma .* differs from the oracle by"):
        check_denoiser(Inexact)


def test_sound_denoisers_pass_and_come_back_built() -> None:
    assert check_denoiser(Faulty, {"fault": "none"}).params == {"fault": "none"}
    assert check_denoiser(Gaussian, shape=(1, 4, 5)).fpmc(1.0).estimators == 20
