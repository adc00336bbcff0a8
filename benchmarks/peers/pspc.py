"""Niedoba et al.'s denoisers (github.com/plai-group/pspc), 2025: already in our variables.

All queries go in one batch, as their functions allow. Images come from memory, without the
horizontal flips that their data set adds by default.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from cases import Case, Problem
from torch import Tensor

from fpmc_bench.fpmc import FPMC, PixelMasks
from peers.contest import CheckedOut, Contest

LEVELS = 2
"""Entries of their schedules: all alike, and more than one because they divide by LEVELS - 1."""


@dataclass(frozen=True, eq=False)
class Images:
    """What their denoisers read of a data set: uint8 images [N,C,H,W] of one square size."""

    codes: Tensor

    def __len__(self) -> int:
        return len(self.codes)

    def __iter__(self) -> Iterator[tuple[np.ndarray, None]]:
        return ((image.numpy(), None) for image in self.codes)

    @property
    def image_shape(self) -> list[int]:
        return list(self.codes.shape[1:])

    @property
    def num_channels(self) -> int:
        return self.codes.shape[1]

    @property
    def resolution(self) -> int:
        return self.codes.shape[2]


class Pspc(CheckedOut):
    name = "pspc"
    methods = frozenset({"optimal", "pspc-square", "pspc-flex"})
    marker = "pspc/denoisers.py"

    def contest(self, case: Case, problem: Problem) -> Contest:
        from pspc import denoisers

        images, model = Images(problem.source.images), case.model(problem)
        if case.method == "optimal":
            return Contest(batched(denoisers.EmpiricalDenoiser(images), case.sigma), model)
        if case.method == "pspc-square":
            sides = torch.tensor(case.params["patch_sizes"] * LEVELS)
            return Contest(batched(denoisers.PSPCSquareDenoiser(images, sides), case.sigma), model)
        thresholds = torch.tensor(case.params["thresholds"] * LEVELS)
        maps = problem.maps.expand(LEVELS, *problem.maps.shape)
        flexible = denoisers.PSPCFlexDenoiser(images, maps, thresholds)
        masks = masks_of(flexible, case.sigma)
        assert isinstance(model.precision, PixelMasks)
        differing = masks != model.precision.masks
        if not differing.any():
            return Contest(batched(flexible, case.sigma), model)
        filter_ = PixelMasks(problem.source.shape, masks)
        return Contest(
            batched(flexible, case.sigma),
            FPMC(filter_, filter_),
            note=f"their masks: {int(differing.any((1, 2)).sum())} differ from ours",
        )


def masks_of(flexible: Any, sigma: float) -> Tensor:
    """Their masks [H*W,H,W], in our order of estimators.

    Shares of the sensitivity are summed in float32 there and in float64 here, so that a pixel at
    the threshold may be in one and not in the other.
    """
    side = flexible.res
    return torch.stack([flexible.get_mask(x, y, sigma) for y in range(side) for x in range(side)])


def batched(denoiser: Any, sigma: float) -> Callable[[Tensor], Tensor]:
    """A function of all queries at once: they take a sigma for each."""
    return lambda z: denoiser(z, torch.full((len(z),), sigma))
