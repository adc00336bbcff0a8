"""What the locality denoiser and its successor GoldDiff have in common: latents and a scheduler.

Their latents are x = sqrt(alpha) z with alpha = 1 / (1 + sigma^2), and alpha comes from a
scheduler of diffusers, of which they read one array. So a stand-in that holds it is enough, and
sigma is met exactly.
"""

import atexit
import importlib
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import torch
from cases import Problem
from torch import Tensor

from peers.stubs import stub_missing

BATCH_BYTES = 2**30
"""Of one of their arrays [queries,N,D]; more queries than that go in several calls."""


class Scheduler:
    """`alphas_cumprod` with one entry, in float64.

    They take 1 - alpha, which at low sigma leaves few digits of a float32.
    """

    def __init__(self, alpha: float = 0.5, **_: Any) -> None:
        self.alphas_cumprod = torch.tensor([alpha], dtype=torch.float64)

    @classmethod
    def at(cls, sigma: float) -> "Scheduler":
        return cls(1 / (1 + sigma**2))

    def set_timesteps(self, steps: int) -> None:
        """Nothing is sampled."""


def stub_imports() -> None:
    """Their data sets, configuration and search index, none of them part of `denoise`."""
    stub_missing("torchvision", "torchvision.transforms", "omegaconf", "faiss", "diffusers")
    setattr(importlib.import_module("diffusers"), "DDIMScheduler", Scheduler)  # noqa: B010


def scratch_folder() -> Path:
    """Where they may save what they fit; gone with the process."""
    folder = Path(tempfile.mkdtemp())
    atexit.register(shutil.rmtree, folder)
    return folder


def without_progress_bars(module: ModuleType) -> ModuleType:
    """A module of theirs whose loops print nothing."""
    module.__dict__["tqdm"] = lambda batches, **_: batches
    return module


def one_batch(problem: Problem) -> SimpleNamespace:
    """The source as they describe a data set: all of it in one batch."""
    images = problem.source.values(torch.float32)
    return SimpleNamespace(
        name="benchmark",
        resolution=images.shape[-1],
        in_channels=images.shape[1],
        dataloader=[(images, torch.zeros(len(images)))],
    )


def queries_at_once(problem: Problem) -> int:
    """How many queries make arrays [queries,N,D] of BATCH_BYTES."""
    return max(BATCH_BYTES // (4 * len(problem.source) * problem.source.shape.dimensions), 1)


def rescaled(denoiser: Any, sigma: float, queries: int) -> Callable[[Tensor], Tensor]:
    """A denoiser of x = sqrt(alpha) z as a function z -> D(z), so many queries a call."""
    scale, step = (1 + sigma**2) ** -0.5, torch.tensor(0)
    return lambda z: torch.cat([denoiser.denoise(scale * part, step) for part in z.split(queries)])
