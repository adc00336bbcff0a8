"""Gaussian windows around every pixel: soft precisions and responses of two numbers a sigma."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from fpmc_bench import FPMC
from fpmc_bench.contracts import FPMCDenoiser, ImageShape, ParameterError, Setting
from fpmc_bench.fpmc import Filter, PixelOneHot, Separable, Uniform
from fpmc_plugins.denoisers.geometry import gaussian_windows


@dataclass(frozen=True)
class Windows(FPMCDenoiser):
    """An estimator per pixel i: q_i = exp(-|u - i|^2 / 2 a^2), r_i = exp(-|u - i|^2 / 2 b^2).

    `query_widths` (a) and `response_widths` (b): one standard deviation in pixels per sigma; 0 is
    the pixel itself, inf the whole image. All channels of a pixel are weighted alike.
    """

    name: ClassVar[str] = "windows"
    citation: ClassVar[str] = "fpmc_bench"
    formula: ClassVar[str] = (
        "D = sum_i r_i mu_i / sum_i r_i\n"
        "mu_i = sum_n w_in x_n,  w_i = softmax_n(-sum_d q_id (z_d - x_nd)^2 / 2 sigma^2)\n"
        "q_i[u] = exp(-|u - i|^2 / 2 a(sigma)^2),  r_i[u] = exp(-|u - i|^2 / 2 b(sigma)^2)"
    )

    query_widths: tuple[float, ...]
    response_widths: tuple[float, ...]

    def check(self, shape: ImageShape, sigmas: tuple[float, ...]) -> None:
        for parameter in ("query_widths", "response_widths"):
            widths = getattr(self, parameter)
            self.check_schedule(parameter, widths, sigmas)
            for width in widths:
                if not width >= 0:  # also catches NaN
                    raise ParameterError(
                        f"{self.name}: {parameter} holds {width}; widths are standard deviations "
                        f"in pixels, from 0 (the pixel itself) to inf (the whole image)"
                    )

    @classmethod
    def candidates(cls, shape: ImageShape) -> Mapping[str, tuple[Any, ...]]:
        """From below the distance of two pixels to beyond the image, by factors of 2^(1/2)."""
        largest = max(shape.height_px, shape.width_px)
        steps = math.ceil(2 * math.log2(largest / 0.5))
        widths = (0.0, *(round(0.5 * 2 ** (step / 2), 2) for step in range(steps + 1)), math.inf)
        return {"query_widths": widths, "response_widths": widths}

    def fpmc(self, setting: Setting, sigma: float) -> FPMC:
        level, shape = setting.nearest(sigma), setting.shape
        if self.query_widths[level] == math.inf:
            # then all estimators are alike, whatever they are weighted with
            return FPMC(Uniform(shape), Uniform(shape))
        return FPMC(
            windows(shape, self.query_widths[level]), windows(shape, self.response_widths[level])
        )


def windows(shape: ImageShape, width_px: float) -> Filter:
    """A Gaussian of standard deviation `width_px` around every pixel, 1 at the pixel itself."""
    if width_px == 0:
        return PixelOneHot(shape)
    rows = gaussian_windows(shape.height_px, width_px)
    return Separable(shape, rows, gaussian_windows(shape.width_px, width_px))
