"""The local score machine (Kamb & Ganguli 2025; paper eq. 43-59)."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from fpmc_bench import FPMC
from fpmc_bench.contracts import FPMCDenoiser, ImageShape, Setting
from fpmc_bench.fpmc import PixelOneHot, Separable
from fpmc_plugins.denoisers.geometry import centred_windows
from fpmc_plugins.denoisers.schedules import centred_sides, check_centred_sides


def squares(shape: ImageShape, side_px: int) -> Separable:
    """A square of odd side centred at every pixel, clipped at the border."""
    rows = centred_windows(shape.height_px, side_px)
    return Separable(shape, rows, centred_windows(shape.width_px, side_px))


@dataclass(frozen=True)
class LocalScore(FPMCDenoiser):
    """Each pixel by its own square neighbourhood: `patch_sizes`, one odd side (px) per sigma."""

    name: ClassVar[str] = "ls"
    citation: ClassVar[str] = (
        "Kamb & Ganguli, 'An analytic theory of creativity in convolutional diffusion models', "
        "ICML 2025"
    )
    url: ClassVar[str] = "https://github.com/Kambm/convolutional_diffusion"
    formula: ClassVar[str] = (
        "D_i = sum_n w_in x_ni,  w_i = softmax_n(-sum_d q_id (z_d - x_nd)^2 / 2 sigma^2)\n"
        "q_i = 1 on the square of side p(sigma) centred at pixel i, clipped at the border, else 0"
    )

    patch_sizes: tuple[int, ...]

    def check(self, shape: ImageShape, sigmas: tuple[float, ...]) -> None:
        self.check_schedule("patch_sizes", self.patch_sizes, sigmas)
        check_centred_sides(self.name, self.patch_sizes, shape)

    @classmethod
    def candidates(cls, shape: ImageShape) -> Mapping[str, tuple[Any, ...]]:
        return {"patch_sizes": centred_sides(shape)}

    def fpmc(self, setting: Setting, sigma: float) -> FPMC:
        side_px = self.patch_sizes[setting.nearest(sigma)]
        return FPMC(squares(setting.shape, side_px), PixelOneHot(setting.shape))
