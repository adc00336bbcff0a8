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
    citation: ClassVar[str] = (
        "Kamb & Ganguli, 'An analytic theory of creativity in convolutional diffusion models', "
        "ICML 2025"
    )
    formula: ClassVar[str] = (
        "D_i = sum_nt w_int t(x_n)_i,  w_i = softmax_nt(-sum_d q_id (z - t(x_n))_d^2 / 2 sigma^2)\n"
        "q_i = 1 on the square of side p(sigma) centred at pixel i, clipped at the border, else 0\n"
        "t: along each axis none where the square is clipped, else all that keep it whole"
    )

    def fpmc(self, setting: Setting, sigma: float) -> FPMC:
        local = super().fpmc(setting, sigma)
        side_px = self.patch_sizes[setting.nearest(sigma)]
        return FPMC(local.precision, local.response, Translations(side_px))
