"""Sensitivity maps of a teacher: which input pixels move an output pixel (paper eq. 39)."""

from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from fpmc_bench.contracts import TeacherModel
from fpmc_bench.diffusion.noise import generator, unit_noise
from fpmc_bench.engine.machine.tf32 import without_tf32
from fpmc_bench.errors import InputError
from fpmc_bench.fpmc.sigmas import AnySigma, AnySigmas, sigma_of, sigmas_of
from fpmc_bench.fpmc.source import Source
from fpmc_bench.storage.cache import cached_tensors, tensors_path

KIND = "sensitivity"
"""In the cache."""
VERSION = 1
"""Part of the cache key: raise it whenever the definition changes."""

PIXELS_PER_PASS, GPU_PIXELS_PER_PASS = 2**13, 2**16
"""How many pixels go through the teacher at once: bounds the graph's memory. A GPU is idle with
less."""


class SensitivityMaps:
    """`sensitivity_map` at each of `sigmas`, one held at a time: G[level] [H,W,H,W] float32.

    Stands in for a tensor [S,H,W,H,W] (2.7 GB at 40 levels of 64x64 pixels) wherever one takes a
    level at a time. A map is read from its file, or computed, when it is asked for, and let go
    when another one is; that raises what `sensitivity_map` raises, and IndexError beyond the last
    level. InputError where `samples` is not positive.
    """

    def __init__(
        self,
        teacher: TeacherModel,
        source: Source,
        sigmas: AnySigmas,
        samples: int = 32,
        seed: int = 0,
        *,
        device: str = "cpu",
    ) -> None:
        _check_samples(samples)
        self.teacher, self.source = teacher, source
        self.sigmas = sigmas_of(sigmas)
        self.samples, self.seed, self.device = samples, seed, device
        self._last: tuple[float, Tensor] | None = None

    def __len__(self) -> int:
        return len(self.sigmas)

    @property
    def files(self) -> list[Path]:
        """Where the cache keeps them, by level; they may not be there."""
        fixed = self.teacher, self.source, self.samples, self.seed
        return [tensors_path(KIND, _key(sigma, *fixed)) for sigma in self.sigmas]

    def __getitem__(self, level: int) -> Tensor:
        sigma = self.sigmas[level]
        if self._last is None or self._last[0] != sigma:
            self._last = None  # before the next one needs its room
            found = sensitivity_map(
                self.teacher, self.source, sigma, self.samples, self.seed, device=self.device
            )
            self._last = sigma, found
        return self._last[1]


def sensitivity_maps(
    teacher: TeacherModel,
    source: Source,
    sigmas: AnySigmas,
    samples: int = 32,
    seed: int = 0,
    *,
    device: str = "cpu",
) -> Tensor:
    """`sensitivity_map` at every noise level: G [S,H,W,H,W] float32, on the CPU.

    All of them at once: `SensitivityMaps` holds one. InputError as in `sensitivity_map`.
    """
    maps = SensitivityMaps(teacher, source, sigmas, samples, seed, device=device)
    _, height, width = source.shape
    found = torch.empty(len(maps), height, width, height, width, dtype=torch.float32)
    for level in range(len(maps)):
        found[level] = maps[level]
    return found


def sensitivity_map(
    teacher: TeacherModel,
    source: Source,
    sigma: AnySigma,
    samples: int = 32,
    seed: int = 0,
    *,
    device: str = "cpu",
) -> Tensor:
    """G [H,W,H,W] float32: how strongly input pixel j moves output pixel (y, x) (eq. 39).

    G[y,x][j] is the mean over `samples` noisy images z and all pairs of channels c, c' of
    |d T(z, sigma)_{(y,x),c} / d z_{j,c'}|; >= 0, on the CPU. Kept in the cache, one file a noise
    level. Raises InputError where `samples` is not positive, the teacher is not differentiable in
    z, or its gradients are not finite.
    """
    _check_samples(samples)
    level = sigma_of(sigma)

    def compute() -> dict[str, Tensor]:
        z = sensitivity_queries(source, level, samples, seed)
        return {"map": mean_absolute_jacobian(teacher, z.to(device), level)}

    key = _key(level, teacher, source, samples, seed)
    return cached_tensors(KIND, key, compute)["map"]


def _key(
    sigma: float, teacher: TeacherModel, source: Source, samples: int, seed: int
) -> dict[str, Any]:
    return {
        "teacher": teacher.fingerprint,
        "source": source.fingerprint,
        "sigma": sigma,
        "samples": samples,
        "seed": seed,
        "version": VERSION,
    }


def _check_samples(samples: int) -> None:
    if samples < 1:
        raise InputError(f"a sensitivity map needs at least one sample, got {samples}")


def sensitivity_queries(source: Source, sigma: float, samples: int, seed: int) -> Tensor:
    """z = x + sigma·eps [samples,C,H,W] float32, x drawn by the weights of `source`.

    On the CPU; row k depends on (seed, k) alone. All noise levels share their x and eps, so that
    maps differ by sigma and not by the draw.
    """
    weights = torch.ones(len(source), dtype=torch.float64)
    if source.log_weights is not None:
        weights = source.log_weights.double().softmax(0)
    rows = [
        int(torch.multinomial(weights, 1, generator=generator(seed, "sensitivity-image", item)))
        for item in range(samples)
    ]
    x = torch.cat([source.chunk(row, row + 1, "cpu", torch.float32)[0] for row in rows])
    return x + sigma * unit_noise(seed, "sensitivity", range(samples), tuple(source.shape))


@torch.enable_grad()
@without_tf32()
def mean_absolute_jacobian(
    teacher: TeacherModel, z: Tensor, sigma: float, outputs_together: int | None = None
) -> Tensor:
    """Mean over z [B,C,H,W] and over channel pairs of |d T / d z|: [H,W,H,W] float32, on the CPU.

    Reverse mode: images don't mix, so the gradient of a value summed over the batch holds every
    image's own gradient. For `outputs_together` values at once (default: on a GPU as many as there
    is room for, on a processor one) the batch holds every image as often. The network's forward
    pass is kept. Raises InputError where the teacher is not differentiable in z, or a gradient not
    finite.
    """
    batch, channels, height, width = z.shape
    pixels = height * width
    room = GPU_PIXELS_PER_PASS if z.is_cuda else PIXELS_PER_PASS
    total = torch.zeros(pixels, height, width, dtype=torch.float64, device=z.device)
    for part in z.split(max(1, room // pixels)):
        fitting = max(1, room // (len(part) * pixels)) if z.is_cuda else 1
        copies = min(outputs_together or fitting, channels * pixels)
        query = part.repeat(copies, 1, 1, 1).requires_grad_(True)
        values = teacher(query, sigma)
        if not values.requires_grad:
            raise InputError(
                f"teacher '{teacher.name}' is not differentiable in z: a sensitivity map needs "
                f"its gradients; don't detach z or disable gradients in its call"
            )
        values = values.reshape(copies, len(part), -1).sum(1)
        every = torch.arange(channels * pixels, device=z.device)
        for first in range(0, channels * pixels, copies):
            outputs = every[first : first + copies]
            chosen = values.diagonal(first)[: len(outputs)].sum()
            (gradient,) = torch.autograd.grad(chosen, query, retain_graph=True)
            sizes = gradient.reshape(copies, len(part), *z.shape[1:]).abs().sum((1, 2))
            total.index_add_(0, outputs % pixels, sizes[: len(outputs)].double())
    if not bool(total.isfinite().all()):
        raise InputError(f"gradients of teacher '{teacher.name}' at sigma {sigma:g} are not finite")
    mean = total / (batch * channels * channels)
    return mean.reshape(height, width, height, width).float().cpu()
