"""The optimal denoiser of the training set (paper eq. 5, 6; Karras et al. 2022, app. B.3)."""

from dataclasses import dataclass
from typing import ClassVar

from fpmc_bench import FPMC
from fpmc_bench.contracts import FPMCDenoiser, Setting
from fpmc_bench.fpmc import Uniform


@dataclass(frozen=True)
class Optimal(FPMCDenoiser):
    """Posterior mean over whole training images: one estimator, q = r = 1."""

    name: ClassVar[str] = "optimal"
    citation: ClassVar[str] = "Karras et al. 2022, 'Elucidating the Design Space', eq. 57"
    url: ClassVar[str] = "https://arxiv.org/abs/2206.00364"

    def fpmc(self, setting: Setting, sigma: float) -> FPMC:
        return FPMC(Uniform(setting.shape), Uniform(setting.shape))
