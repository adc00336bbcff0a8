"""The boundary-broken equivariant local score machine (Kamb & Ganguli 2025; paper eq. 60-68)."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from fpmc_bench import FPMC
from fpmc_bench.contracts import FPMCDenoiser, Setting
from fpmc_bench.fpmc import PixelOneHot, Translations
from fpmc_bench.shapes import ImageShape
from fpmc_plugins.denoisers.ls import squares
from fpmc_plugins.denoisers.schedules import centred_sides, check_centred_sides


@dataclass(frozen=True)
class EquivariantLocalScore(FPMCDenoiser):
    """As `ls`, but each pixel searches the patches of every position it may be translated to.

    `patch_sizes`: one odd side (px) per sigma. Pixels nearer to the border than half a side
    search along their edge only; once the side reaches the image's, this is `ls`.
    """

    name: ClassVar[str] = "els"
    citation: ClassVar[str] = "Kamb & Ganguli 2025, 'An analytic theory of creativity'"

    patch_sizes: tuple[int, ...]

    def check(self, shape: ImageShape, sigmas: tuple[float, ...]) -> None:
        self._check_schedule("patch_sizes", self.patch_sizes, len(sigmas))
        check_centred_sides(self.name, self.patch_sizes, shape)

    @classmethod
    def candidates(cls, shape: ImageShape) -> Mapping[str, tuple[Any, ...]]:
        return {"patch_sizes": centred_sides(shape)}

    def fpmc(self, setting: Setting, sigma: float) -> FPMC:
        side_px = self.patch_sizes[setting.nearest(sigma)]
        precision = squares(setting.shape, side_px)
        return FPMC(precision, PixelOneHot(setting.shape), Translations(side_px))
