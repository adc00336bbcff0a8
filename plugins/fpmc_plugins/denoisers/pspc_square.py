"""PSPC-Square: patch set posterior composites of squares (Niedoba et al. 2025; paper A.1.1)."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from fpmc_bench import FPMC
from fpmc_bench.contracts import FPMCDenoiser, ImageShape, ParameterError, Setting
from fpmc_bench.fpmc import Separable
from fpmc_plugins.denoisers.geometry import inner_windows


@dataclass(frozen=True)
class PspcSquare(FPMCDenoiser):
    """All squares wholly inside the image, averaged where they overlap.

    `patch_sizes`: one side (px) per sigma, from 1 to the shorter side of the image.
    """

    name: ClassVar[str] = "pspc-square"
    citation: ClassVar[str] = (
        "Niedoba, Zwartsenberg, Murphy & Wood, 'Towards a mechanistic explanation of diffusion "
        "model generalization', ICML 2025"
    )
    url: ClassVar[str] = "https://github.com/plai-group/pspc"
    formula: ClassVar[str] = (
        "D = sum_i r_i mu_i / sum_i r_i\n"
        "mu_i = sum_n w_in x_n,  w_i = softmax_n(-sum_d q_id (z_d - x_nd)^2 / 2 sigma^2)\n"
        "q_i = r_i = 1 on a square of side p(sigma), one for each place inside the image"
    )

    patch_sizes: tuple[int, ...]

    def check(self, shape: ImageShape, sigmas: tuple[float, ...]) -> None:
        self.check_schedule("patch_sizes", self.patch_sizes, sigmas)
        largest = min(shape.height_px, shape.width_px)
        for side in self.patch_sizes:
            if not 1 <= side <= largest:
                raise ParameterError(
                    f"{self.name}: patch_sizes holds {side}; patches lie inside the image, so for "
                    f"images {shape} sides go from 1 to {largest}"
                )

    @classmethod
    def candidates(cls, shape: ImageShape) -> Mapping[str, tuple[Any, ...]]:
        return {"patch_sizes": tuple(range(1, min(shape.height_px, shape.width_px) + 1))}

    def fpmc(self, setting: Setting, sigma: float) -> FPMC:
        side_px = self.patch_sizes[setting.nearest(sigma)]
        shape = setting.shape
        patches = Separable(
            shape, inner_windows(shape.height_px, side_px), inner_windows(shape.width_px, side_px)
        )
        return FPMC(patches, patches)
