"""Translation, rotation and scaling by random amounts (paper appendix B, eq. 92-95).

Reflected at the borders and resampled without aliasing; candidates and rates as `candidates` says.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from fpmc_bench import Source, made_images
from fpmc_bench.contracts import Augmentation, AugmentationTask, InputError
from fpmc_plugins.augmentations.candidates import chosen_candidates
from fpmc_plugins.augmentations.resample import resample

CITATION = "Filtered Posterior Mean Collections, section 4.3 and appendix B"
TRANSLATION_STD = 0.125
"""Of either side of the image."""
LOG2_SCALE_STD = 0.2
BLOCK_IMAGES = 4096
VERSION = 1
"""Raised when the same task would give other images."""

Draw = Callable[[torch.Generator, tuple[int, int]], Tensor]


class _Geometric(Augmentation):
    def check(self, task: AugmentationTask) -> None:
        if min(task.source.shape.height_px, task.source.shape.width_px) < 2:
            raise InputError(
                f"{self.name} needs images of 2 x 2 pixels or more, got {task.source.shape}"
            )


@dataclass(frozen=True)
class Translate(_Geometric):
    """Each image moved by N(0, (side/8)^2) along either axis, reflected at the borders."""

    name: ClassVar[str] = "translate"
    citation: ClassVar[str] = CITATION

    def augment(self, task: AugmentationTask) -> Source:
        _, height, width = task.source.shape
        sides = torch.tensor([width, height], dtype=torch.float64)

        def draw(generator: torch.Generator, shape: tuple[int, int]) -> Tensor:
            return TRANSLATION_STD * sides * _normal(generator, (*shape, 2))

        def matrices(offsets: Tensor) -> Tensor:
            unmoved = torch.eye(2, dtype=torch.float64).expand(len(offsets), 2, 2)
            return torch.cat([unmoved, -offsets[..., None]], dim=2)

        return _augmented(self, task, draw, matrices)


@dataclass(frozen=True)
class Rotate(_Geometric):
    """Each image turned about its centre by an angle from U(-pi, pi), reflected at the borders."""

    name: ClassVar[str] = "rotate"
    citation: ClassVar[str] = CITATION

    def augment(self, task: AugmentationTask) -> Source:
        def draw(generator: torch.Generator, shape: tuple[int, int]) -> Tensor:
            uniform = torch.rand(*shape, 1, generator=generator, dtype=torch.float64)
            return math.pi * (2 * uniform - 1)

        def matrices(angles: Tensor) -> Tensor:
            cos, sin = angles.cos()[:, 0], angles.sin()[:, 0]
            zero = torch.zeros_like(cos)
            return torch.stack([cos, sin, zero, -sin, cos, zero], dim=1).reshape(-1, 2, 3)

        return _augmented(self, task, draw, matrices)


@dataclass(frozen=True)
class Scale(_Geometric):
    """Each image scaled about its centre by 2^(0.2 N(0,1)), reflected where it gets smaller."""

    name: ClassVar[str] = "scale"
    citation: ClassVar[str] = CITATION

    def augment(self, task: AugmentationTask) -> Source:
        def draw(generator: torch.Generator, shape: tuple[int, int]) -> Tensor:
            return torch.exp2(LOG2_SCALE_STD * _normal(generator, (*shape, 1)))

        def matrices(factors: Tensor) -> Tensor:
            zoom = torch.eye(2, 3, dtype=torch.float64)
            return zoom / factors[..., None]

        return _augmented(self, task, draw, matrices)


def _normal(generator: torch.Generator, shape: tuple[int, ...]) -> Tensor:
    return torch.randn(*shape, generator=generator, dtype=torch.float64)


def _augmented(
    plugin: Augmentation, task: AugmentationTask, draw: Draw, matrices: Callable[[Tensor], Tensor]
) -> Source:
    """The chosen candidates of all images, made once and then read from the cache.

    Images of 256 codes stay so, rounded as any image file is; of fewer they become floats.
    """
    plugin.check(task)
    source = task.source
    found = chosen_candidates(len(source), task.rate, draw, task.seed, plugin.name)

    def make(rows: range) -> Tensor:
        part = slice(rows.start, rows.stop)
        values = source.to_values(source.stored(found.rows[part]), torch.float32)
        values = resample(values, matrices(found.parameters[part])).clamp_(-1, 1)
        return source.to_stored(values) if task.keeps_bytes else values

    key = {
        "source": source.fingerprint,
        "rate": task.rate,
        "seed": task.seed,
        "version": VERSION,
    }
    images = made_images(plugin.name, key, len(found.rows), make, block_images=BLOCK_IMAGES)
    weights = None if source.log_weights is None else source.log_weights[found.rows]
    return Source(images, weights, source.scale, made_from=found.rows)
