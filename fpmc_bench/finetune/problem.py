"""What one noise level is fine-tuned on: batches of noisy images, and teacher samples to judge by.

Everything is keyed by (seed, sigma's index, step), so that equal settings draw equal batches
whatever was drawn before. No test image is looked at.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from fpmc_bench.diffusion.heun import heun_sample
from fpmc_bench.diffusion.noise import generator, unit_noise
from fpmc_bench.finetune.settings import FinetuneSettings
from fpmc_bench.fpmc.shapes import ImageShape
from fpmc_bench.fpmc.source import Source

Teacher = Callable[[Tensor, float], Tensor]


@dataclass(frozen=True, eq=False)
class Batch:
    """Noisy images and the teacher's answers [B,C,H,W], and the source rows to compare with."""

    queries: Tensor
    targets: Tensor
    rows: Tensor


@dataclass(frozen=True, eq=False)
class LevelProblem:
    """Noise level number `level`, `sigma`: what queries are compared with, and whom to imitate.

    Queries are noisy images of `source.original`, the training images.
    """

    source: Source
    teacher: Teacher
    sigma: float
    level: int
    device: str

    @torch.no_grad()
    def batch(self, settings: FinetuneSettings, step: int) -> Batch:
        """The batch of a step; its own images, and what was made from them, are not in `rows`."""
        draw = generator(settings.seed, f"finetune/{self.level}", step)
        training = self.source.original
        own = torch.randperm(len(training), generator=draw)[: settings.batch]
        rows = torch.randperm(len(self.source), generator=draw)
        if settings.leave_batch_out:
            rows = rows[~torch.isin(self._training_rows[rows], own)]
        rows = rows[: settings.source_images].sort().values
        clean = training.to_values(training.stored(own).to(self.device), torch.float32)
        noise = torch.randn(clean.shape, generator=draw, dtype=torch.float32).to(self.device)
        queries = clean + self.sigma * noise
        return Batch(queries, self.teacher(queries, self.sigma), rows)

    @cached_property
    def _training_rows(self) -> Tensor:
        """Which training image each of the source is or comes from, [N]."""
        return self.source.rows_in(self.source.original)


@torch.no_grad()
def validation_images(
    teacher: Teacher,
    shape: ImageShape,
    sigmas: tuple[float, ...],
    items: int,
    seed: int,
    device: str,
) -> Tensor:
    """Samples of the teacher from a stream of their own, [items,C,H,W]."""
    noise = unit_noise(seed, "finetune-validation", range(items), shape).to(device)
    return heun_sample(teacher, noise, sigmas)


@torch.no_grad()
def validation_batch(problem: LevelProblem, clean: Tensor, seed: int) -> tuple[Tensor, Tensor]:
    """Noisy validation images and the teacher's answers, [items,C,H,W] each.

    Where noise is finer than the steps between two codes of the training images, `clean` images
    are rounded to those codes first, as images that were held out are: a denoiser that may find
    their codes has to be judged by images that have some.
    """
    training = problem.source.original
    if training.is_coded and problem.sigma < training.scale:
        clean = training.to_values(training.to_stored(clean), clean.dtype)
    stream = f"finetune-validation/{problem.level}"
    noise = unit_noise(seed, stream, range(len(clean)), tuple(clean.shape[1:]))
    queries = clean + problem.sigma * noise.to(clean.device)
    return queries, problem.teacher(queries, problem.sigma)
