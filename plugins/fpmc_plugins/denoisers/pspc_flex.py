"""PSPC-Flex: patches from the teacher's own gradients (Niedoba et al. 2025; paper A.1.2)."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor

from fpmc_bench import FPMC
from fpmc_bench.contracts import (
    FPMCDenoiser,
    ImageShape,
    InputError,
    Need,
    ParameterError,
    Setting,
)
from fpmc_bench.fpmc import PixelMasks


def sensitivity_masks(maps: Tensor, threshold: float) -> Tensor:
    """Boolean masks [H*W,H,W] of maps G [H,W,H,W] at threshold tau in (0, 1] (eq. 40-42).

    The pixels of each map in descending order (ties by position), up to and including the one at
    which their share of the total first reaches tau; tau = 1 keeps every pixel. InputError for a
    map with negative values, or with zeros alone.
    """
    height, width = maps.shape[:2]
    flat = maps.double().reshape(height * width, height * width)
    if not bool((flat >= 0).all() and (flat.sum(1) > 0).all()):
        raise InputError("sensitivity maps must be non-negative, and positive somewhere")
    if threshold >= 1:
        return torch.ones(height * width, height, width, dtype=torch.bool)
    ordered, order = flat.sort(dim=1, descending=True, stable=True)
    before = ordered.cumsum(1) - ordered
    kept = before < threshold * flat.sum(1, keepdim=True)
    masks = torch.zeros_like(flat, dtype=torch.bool).scatter(1, order, kept)
    return masks.reshape(-1, height, width)


@dataclass(frozen=True)
class PspcFlex(FPMCDenoiser):
    """A patch per pixel: those pixels that carry a share tau of the teacher's sensitivity there.

    `thresholds`: one tau in (0, 1] per sigma; 1 is the whole image.
    """

    name: ClassVar[str] = "pspc-flex"
    citation: ClassVar[str] = (
        "Niedoba, Zwartsenberg, Murphy & Wood, 'Towards a mechanistic explanation of diffusion "
        "model generalization', ICML 2025"
    )
    url: ClassVar[str] = "https://github.com/plai-group/pspc"
    formula: ClassVar[str] = (
        "D = sum_i r_i mu_i / sum_i r_i\n"
        "mu_i = sum_n w_in x_n,  w_i = softmax_n(-sum_d q_id (z_d - x_nd)^2 / 2 sigma^2)\n"
        "q_i = r_i = 1 on the fewest pixels j that carry a share tau(sigma) of G_i[j], else 0\n"
        "G_i[j] = mean |d T(z, sigma)_i / d z_j|, the teacher's sensitivity at pixel i"
    )
    needs: ClassVar[frozenset[Need]] = frozenset({"sensitivity"})

    thresholds: tuple[float, ...]

    def check(self, shape: ImageShape, sigmas: tuple[float, ...]) -> None:
        self.check_schedule("thresholds", self.thresholds, sigmas)
        for threshold in self.thresholds:
            if not 0 < threshold <= 1:
                raise ParameterError(
                    f"{self.name}: thresholds holds {threshold}; a share of the sensitivity lies "
                    f"above 0 and at most at 1"
                )

    @classmethod
    def candidates(cls, shape: ImageShape) -> Mapping[str, tuple[Any, ...]]:
        return {"thresholds": tuple(round(0.05 * step, 2) for step in range(2, 21))}

    def fpmc(self, setting: Setting, sigma: float) -> FPMC:
        assert setting.sensitivity is not None, "declared in needs"
        level = setting.nearest(sigma)
        masks = sensitivity_masks(setting.sensitivity[level], self.thresholds[level])
        filter_ = PixelMasks(setting.shape, masks)
        return FPMC(filter_, filter_)
