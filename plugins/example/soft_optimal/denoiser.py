"""The optimal denoiser with a temperature: posterior weights w_n^(1/T), normalised again.

T = 1 is the optimal denoiser, which at low noise returns the nearest training image. T > 1 blends
more images, T < 1 fewer. In FPMC terms: one estimator, every precision 1/T, every response 1.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import torch
from fpmc_bench import FPMC
from fpmc_bench.contracts import FPMCDenoiser, ImageShape, ParameterError, Setting
from fpmc_bench.fpmc import PixelMasks, Uniform


@dataclass(frozen=True)
class SoftOptimal(FPMCDenoiser):
    """Mean of the training images under the tempered posterior."""

    name: ClassVar[str] = "soft-optimal"
    citation: ClassVar[str] = "Nobody, 'Not written yet', 2026"
    formula: ClassVar[str] = "D = sum_n w_n x_n, w = softmax_n(-||z - x_n||^2 / (2 sigma^2 T))"
    expected_failures: ClassVar[Mapping[str, str]] = {
        "noise-level": "a temperature weighs images as noise of another sigma would"
    }

    temperature: float = 2.0

    def check(self, shape: ImageShape, sigmas: tuple[float, ...]) -> None:
        if not 0 < self.temperature < float("inf"):
            raise ParameterError(
                f"{self.name}: temperature must be positive and finite, got {self.temperature}"
            )

    def fpmc(self, setting: Setting, sigma: float) -> FPMC:
        shape = setting.shape
        precision = torch.full((1, shape.height_px, shape.width_px), 1 / self.temperature)
        return FPMC(PixelMasks(shape, precision), Uniform(shape))
