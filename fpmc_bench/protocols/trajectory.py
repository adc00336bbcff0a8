"""A trajectory: the first items of a batch on their way, and what a denoiser makes of them."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from fpmc_bench.contracts import DenoiseFunction
from fpmc_bench.results.trajectories import TRAJECTORY_ITEMS, Codes, trajectory_codes


@dataclass
class Observed:
    """A denoiser like `denoise` that remembers the last query at each noise level, and its answer.

    Of the first TRAJECTORY_ITEMS of a batch. Heun's sampler asks twice at every noise level but the
    first: the last query is z on its way, the one before is a trial step's.
    """

    denoise: DenoiseFunction
    _last: dict[float, tuple[Tensor, Tensor]] = field(default_factory=dict, init=False)

    def __call__(self, z: Tensor, sigma: float) -> Tensor:
        """z [B,C,H,W] -> [B,C,H,W], as `denoise` answers and raises."""
        answer = self.denoise(z, sigma)
        self._last[sigma] = z[:TRAJECTORY_ITEMS].clone(), answer[:TRAJECTORY_ITEMS].clone()
        return answer

    def codes(self, sigmas: Sequence[float]) -> Codes:
        """z and D(z, sigma) at each of `sigmas`, [2,n,S,C,H,W]."""
        pairs = [torch.stack(self._last[sigma]) for sigma in sigmas]
        noisy, denoised = torch.stack(pairs, dim=2).cpu().numpy()
        return trajectory_codes(noisy, denoised, sigmas)
