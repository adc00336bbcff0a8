"""What is compared: a problem (images and noisy queries) and a table of cases."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from maps import synthetic_maps, threshold_for
from torch import Tensor

from fpmc_bench import FPMC, Source, build_denoiser
from fpmc_bench.fpmc.shapes import ImageShape

METHODS = ("optimal", "ls", "els", "pspc-square", "pspc-flex", "lukoianov")
LS_SIDES_PX = (3, 5, 15)
ELS_SIDES_PX = (3, 9, 15)
PSPC_SIDES_PX = (3, 11, 23)
MASK_PIXELS = (20, 80, 300)
LOCALITY_THRESHOLDS = (0.02, 0.05)
"""The default of the authors' class, and the value of their CIFAR-10 configuration."""
MIDDLE_SIGMA = 0.6


@dataclass(frozen=True, eq=False)
class Problem:
    """Source images, and clean images with unit noise that make the queries of any sigma."""

    source: Source
    clean: Tensor
    """[B,C,H,W] in [-1,1], none of them in the source."""
    noise: Tensor
    """[B,C,H,W] of unit variance."""
    maps: Tensor
    """[H,W,H,W]: sensitivities, the same for every sigma."""

    @classmethod
    def of(cls, images: Tensor, held_out: Tensor, seed: int) -> "Problem":
        """From codes [N,C,H,W] and [B,C,H,W]; the seed draws noise and maps."""
        source = Source(images)
        noise = torch.randn(held_out.shape, generator=torch.Generator().manual_seed(seed))
        clean = source.to_values(held_out, torch.float32)
        return cls(source, clean, noise, synthetic_maps(source.shape, seed))

    def first(self, images: int, queries: int) -> "Problem":
        """A smaller problem: the first images and queries of this one."""
        source = Source(self.source.images[:images])
        return Problem(source, self.clean[:queries], self.noise[:queries], self.maps)

    def queries(self, sigma: float) -> Tensor:
        """z [B,C,H,W]."""
        return self.clean + sigma * self.noise


@dataclass(frozen=True)
class Case:
    """One method with its parameters at one noise level."""

    method: str
    parameter: str
    """As the table shows it."""
    sigma: float
    params: Mapping[str, Any]

    def model(self, problem: Problem) -> FPMC:
        """This project's collection for the case."""
        maps = problem.maps[None] if self.method == "pspc-flex" else None
        built = build_denoiser(
            self.method,
            problem.source,
            sigmas=[self.sigma],
            params=self.params,
            sensitivity=maps,
        )
        return built.fpmc(self.sigma)


def default_cases(problem: Problem, methods: Sequence[str]) -> list[Case]:
    """The cases of these methods whose squares and masks fit the problem's images."""
    return [case for case in _all_cases(problem) if case.method in methods]


def _all_cases(problem: Problem) -> Iterator[Case]:
    shape = problem.source.shape
    for sigma in (MIDDLE_SIGMA, 10.0):
        yield Case("optimal", "", sigma, {})
    for method, sides in (
        ("ls", LS_SIDES_PX),
        ("els", ELS_SIDES_PX),
        ("pspc-square", PSPC_SIDES_PX),
    ):
        for side_px in _fitting(sides, shape):
            yield Case(method, f"side {side_px}", MIDDLE_SIGMA, {"patch_sizes": (side_px,)})
    for pixels in MASK_PIXELS:
        if pixels < shape.pixels:
            thresholds = (threshold_for(problem.maps, pixels),)
            yield Case("pspc-flex", f"{pixels} pixels", MIDDLE_SIGMA, {"thresholds": thresholds})
    for threshold in LOCALITY_THRESHOLDS:
        params = {"threshold": threshold, "orientation": "columns"}
        for sigma in (0.1, MIDDLE_SIGMA, 3.0):
            yield Case("lukoianov", f"threshold {threshold}", sigma, params)


def _fitting(sides_px: Sequence[int], shape: ImageShape) -> list[int]:
    """Sides below the image's: from there on methods change into one another."""
    return [side for side in sides_px if side < min(shape.height_px, shape.width_px)]
