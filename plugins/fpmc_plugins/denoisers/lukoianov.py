"""Locality from data statistics: thresholded Wiener rows (Lukoianov et al. 2025; paper A.3)."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import torch
from torch import Tensor

from fpmc_bench import FPMC
from fpmc_bench.contracts import FPMCDenoiser, ImageShape, ParameterError, Setting
from fpmc_bench.fpmc import Dense, DimensionOneHot
from fpmc_plugins.denoisers.covariance import spectrum

CONSTANT_PIXEL = 1e-6
"""A dimension whose Wiener gain W_ii is below this does not vary in the training set."""


def wiener_masks(
    eigenvalues: Tensor, eigenvectors: Tensor, sigma: float, threshold: float
) -> Tensor:
    """Boolean masks [D,D], row i the query of dimension i (eq. 71-73), all in float64.

    W = Sigma (Sigma + sigma^2 I)^-1 with row i divided by W_ii; entries of at least `threshold`
    times the largest magnitude of the whole matrix. A constant pixel gets itself alone and has no
    part in the maximum.
    """
    gain = eigenvalues / (eigenvalues + sigma**2)
    wiener = (eigenvectors * gain) @ eigenvectors.T
    diagonal = wiener.diagonal()
    varies = diagonal >= CONSTANT_PIXEL
    scaled = (wiener / diagonal.clamp(min=CONSTANT_PIXEL)[:, None]).abs()
    alone = torch.eye(len(wiener), dtype=torch.bool)
    if not bool(varies.any()):
        return alone
    masks = scaled >= threshold * scaled[varies].max()
    return torch.where(varies[:, None], masks, alone)


@dataclass(frozen=True)
class Lukoianov(FPMCDenoiser):
    """Each dimension by those that its Wiener filter weighs most.

    `threshold`: share of the largest scaled Wiener weight from which a dimension counts, in
    [0, 1]. `orientation`: "rows" is the paper; "columns" is what the authors' code multiplies by.
    """

    name: ClassVar[str] = "lukoianov"
    citation: ClassVar[str] = (
        "Lukoianov, Yuan, Solomon & Sitzmann, 'Locality in image diffusion models emerges from "
        "data statistics', NeurIPS 2025"
    )
    url: ClassVar[str] = "https://github.com/ottogin/locality-in-diffusion-models"
    formula: ClassVar[str] = (
        "D_i = sum_n w_in x_ni,  w_i = softmax_n(-sum_d q_id (z_d - x_nd)^2 / 2 sigma^2)\n"
        "q_id = 1 where |W_id / W_ii| >= threshold * max_jk |W_jk / W_jj|, else 0\n"
        "W = Sigma (Sigma + sigma^2 I)^-1"
    )

    threshold: float = 0.02
    orientation: Literal["rows", "columns"] = "rows"

    def check(self, shape: ImageShape, sigmas: tuple[float, ...]) -> None:
        if not 0 <= self.threshold <= 1:
            raise ParameterError(
                f"{self.name}: threshold is a share of the largest weight, from 0 to 1, got "
                f"{self.threshold}"
            )

    @classmethod
    def candidates(cls, shape: ImageShape) -> Mapping[str, tuple[Any, ...]]:
        return {"threshold": (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.3, 0.5)}

    def fpmc(self, setting: Setting, sigma: float) -> FPMC:
        _, eigenvalues, eigenvectors = spectrum(setting.source, ddof=1)
        masks = wiener_masks(eigenvalues, eigenvectors, sigma, self.threshold)
        if self.orientation == "columns":
            masks = masks.T
        return FPMC(Dense(setting.shape, masks), DimensionOneHot(setting.shape))
