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
    citation: ClassVar[str] = (
        "Karras, Aittala, Aila & Laine, 'Elucidating the design space of diffusion-based "
        "generative models', NeurIPS 2022, eq. 57"
    )
    url: ClassVar[str] = "https://arxiv.org/abs/2206.00364"
    formula: ClassVar[str] = "D = sum_n w_n x_n,  w = softmax_n(-|z - x_n|^2 / 2 sigma^2)"

    def fpmc(self, setting: Setting, sigma: float) -> FPMC:
        return FPMC(Uniform(setting.shape), Uniform(setting.shape))
