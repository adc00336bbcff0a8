"""A Hugging Face diffusers network as a denoiser D(z, sigma).

Its network knows discrete times t and images x_t = sqrt(abar_t) x + sqrt(1 - abar_t) eps. In EDM's
variables that is z / sqrt(1 + sigma^2) at sigma_t = sqrt((1 - abar_t) / abar_t); for a sigma
between two times, t is interpolated in log sigma. `files.diffusers_folder` reads one.
"""

import hashlib
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from torch import Tensor, nn

from fpmc_bench.engine.evaluate import check_query
from fpmc_bench.engine.machine.tf32 import without_tf32
from fpmc_bench.errors import InputError
from fpmc_bench.fpmc.shapes import ImageShape
from fpmc_bench.fpmc.sigmas import AnySigma
from fpmc_bench.teachers.labels import Label, answer_for


@dataclass(frozen=True, eq=False)
class NoiseTimes:
    """Which time of a scheduler has which noise level.

    `times` [T'] and `log_sigmas` [T'] float64 ascend. Times without noise, and those with nothing
    but noise, are left out: no finite sigma > 0 is theirs.
    """

    times: np.ndarray
    log_sigmas: np.ndarray

    @classmethod
    def of(cls, kept: np.ndarray) -> "NoiseTimes":
        """Of abar [T] of a scheduler. InputError where noise levels don't ascend with time."""
        kept = np.atleast_1d(kept).astype(np.float64)  # a single level fails as any too few do
        times = np.flatnonzero((kept > 0) & (kept < 1))
        log_sigmas = 0.5 * np.log((1 - kept[times]) / kept[times])
        if not (kept >= 0).all() or len(times) < 2 or not (np.diff(log_sigmas) > 0).all():
            raise InputError("its noise levels don't ascend with time")
        return cls(times.astype(np.float64), log_sigmas)

    @property
    def largest(self) -> float:
        """The sigma of the last time."""
        return float(np.exp(self.log_sigmas[-1]))

    def at(self, sigma: float) -> float:
        """The continuous time of a noise level sigma > 0; at either end it stays there."""
        return float(np.interp(np.log(sigma), self.log_sigmas, self.times))


@dataclass(frozen=True, eq=False)
class DiffusersTeacher:
    """(z [B,C,H,W], sigma) -> [B,C,H,W] like z; differentiable in z, weights frozen.

    Below the scheduler's least noise level t stays at the first time, while z is still scaled by
    the true sigma; above its largest there is no answer. What a sampler does to a prediction, such
    as clipping, is not done here.
    """

    name: str
    network: nn.Module
    shape: ImageShape
    noise: NoiseTimes
    prediction: str
    settings: str
    """What decides beside the weights, and nothing else: settings of network and scheduler."""
    classes: int = 0
    label: Label | None = None
    """Of a network with `classes`, which one it is asked about."""

    @cached_property
    def fingerprint(self) -> str:
        """sha256 over settings, label and weights, wherever and however they were saved."""
        digest = hashlib.sha256(self.settings.encode())
        if self.label is not None:
            digest.update(f"label {self.label}".encode())
        for name, tensor in sorted(self.network.state_dict().items()):
            digest.update(f"{name} {list(tensor.shape)}".encode())
            digest.update(tensor.cpu().contiguous().float().numpy().tobytes())
        return digest.hexdigest()

    @without_tf32()
    def __call__(self, z: Tensor, sigma: AnySigma) -> Tensor:
        """D(z, sigma) [B,C,H,W]. InputError for a z or sigma that it can't answer."""
        sigma = check_query(z, sigma, self.shape)
        if sigma > self.noise.largest * (1 + 1e-6):  # a rounded logarithm and back
            raise InputError(
                f"teacher '{self.name}' was trained up to sigma {self.noise.largest:.4g}, the last "
                f"time of its scheduler, and has no answer at {sigma:g}; lower the grid's smax, "
                f"or take another network"
            )
        weight = next(self.network.parameters())
        alpha: float = (1 + sigma**2) ** -0.5  # sqrt(abar)
        x_t = z * alpha
        times = torch.full(
            (len(z),), self.noise.at(sigma), dtype=weight.dtype, device=weight.device
        )

        def predicted(label: int | None) -> Tensor:
            given = None if label is None else torch.full((len(z),), label, device=weight.device)
            output: Tensor = self.network(x_t.to(weight), times, given, return_dict=False)[0]
            return output

        output = answer_for(predicted, self.label, self.classes).to(z)
        if self.prediction == "epsilon":
            return z - sigma * output
        if self.prediction == "v_prediction":
            return alpha * x_t - alpha * sigma * output  # sqrt(1 - abar) = alpha sigma
        return output
