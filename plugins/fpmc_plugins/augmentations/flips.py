"""Horizontal and vertical reflection (paper appendix B): at most one new image per image."""

from dataclasses import dataclass
from typing import ClassVar

import torch

from fpmc_bench import Source
from fpmc_bench.contracts import Augmentation, AugmentationTask, ParameterError


def _flipped(source: Source, axis: int, rate: float, seed: int, name: str) -> Source:
    """The reflections of `rate` of the images; for a rate below 1, of a random subset."""
    if rate > 1:
        raise ParameterError(f"{name}: there is one reflection per image, so rate <= 1, got {rate}")
    generator = torch.Generator().manual_seed(seed)
    count = max(1, round(rate * len(source)))
    rows = torch.randperm(len(source), generator=generator)[:count].sort().values
    weights = None if source.log_weights is None else source.log_weights[rows]
    return Source(source.stored(rows).flip(axis), weights, source.scale, made_from=rows)


@dataclass(frozen=True)
class HorizontalFlip(Augmentation):
    """Each image mirrored left to right."""

    name: ClassVar[str] = "hflip"
    citation: ClassVar[str] = "Filtered Posterior Mean Collections, section 4.3"
    max_rate: ClassVar[float] = 1

    def augment(self, task: AugmentationTask) -> Source:
        return _flipped(task.source, -1, task.rate, task.seed, self.name)


@dataclass(frozen=True)
class VerticalFlip(Augmentation):
    """Each image mirrored top to bottom."""

    name: ClassVar[str] = "vflip"
    citation: ClassVar[str] = "Filtered Posterior Mean Collections, section 4.3"
    max_rate: ClassVar[float] = 1

    def augment(self, task: AugmentationTask) -> Source:
        return _flipped(task.source, -2, task.rate, task.seed, self.name)
