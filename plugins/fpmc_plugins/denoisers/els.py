"""The boundary-broken equivariant local score machine (Kamb & Ganguli 2025; paper eq. 60-68)."""

from dataclasses import dataclass
from typing import ClassVar

from fpmc_bench import FPMC
from fpmc_bench.contracts import Setting
from fpmc_bench.fpmc import Translations
from fpmc_plugins.denoisers.ls import LocalScore


@dataclass(frozen=True)
class EquivariantLocalScore(LocalScore):
    """As `ls`, but each pixel searches the patches of every position it may be translated to.

    `patch_sizes`: one odd side (px) per sigma. Pixels nearer to the border than half a side
    search along their edge only; once the side reaches the image's, this is `ls`.
    """

    name: ClassVar[str] = "els"
    citation: ClassVar[str] = "Kamb & Ganguli 2025, 'An analytic theory of creativity'"

    def fpmc(self, setting: Setting, sigma: float) -> FPMC:
        local = super().fpmc(setting, sigma)
        side_px = self.patch_sizes[setting.nearest(sigma)]
        return FPMC(local.precision, local.response, Translations(side_px))
