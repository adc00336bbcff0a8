"""FinetunedWeights: a whole fine-tuning as one safetensors file, with a card that says of what.

Learned values are kept as float16 logarithms, as they were when their errors were measured; what
was not learned is kept by its structure or, where it has none, likewise.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from pydantic import Field, PositiveInt
from torch import Tensor

from fpmc_bench.documents.reading import Document
from fpmc_bench.errors import ParameterError
from fpmc_bench.finetune.descent import Descent, Point
from fpmc_bench.finetune.relaxation import learned_filter, plain_values
from fpmc_bench.finetune.settings import Axis
from fpmc_bench.fpmc import FPMC, DimensionOneHot, Filter, PixelOneHot, Uniform
from fpmc_bench.fpmc.shapes import ImageShape
from fpmc_bench.storage.tensors import save_tensors

STRUCTURES: dict[str, type[Filter]] = {
    "uniform": Uniform,
    "pixel-one-hot": PixelOneHot,
    "dimension-one-hot": DimensionOneHot,
}
"""Filters that their name says all of."""


class LevelCard(Document):
    """One noise level: what it was measured at, and how it ended.

    One that was not `learned`, for nobody was going to measure it, is as the base has it.
    """

    sigma: float
    learned: bool = True
    curve: tuple[Point, ...] = Field(min_length=1)
    stopped: str | None = None
    structures: dict[Axis, str] = Field(default_factory=dict)
    """Of filters that are not in the file as numbers."""

    @property
    def base_error(self) -> float:
        return self.curve[0].error

    @property
    def best(self) -> Point:
        """Of what is kept."""
        return min(self.curve, key=lambda point: point.error)


class FinetuneCard(Document):
    """What was fine-tuned, on what, against what, and how."""

    kind: Literal["finetuned"] = "finetuned"
    version: Literal[1] = 1
    base: str
    params: dict[str, Any]
    dataset: str
    source: str
    """Fingerprint of the training images, before any augmentation."""
    shape: tuple[PositiveInt, PositiveInt, PositiveInt]
    augmentations: tuple[dict[str, Any], ...] = ()
    teacher: str
    teacher_fingerprint: str
    plan: dict[str, Any]
    circumstances: dict[str, Any] = Field(default_factory=dict)
    """What else determines the weights: seeds, code, the kind of device."""
    levels: tuple[LevelCard, ...] = Field(min_length=1)

    @property
    def sigmas(self) -> tuple[float, ...]:
        return tuple(level.sigma for level in self.levels)

    @property
    def stopped(self) -> tuple[str, ...]:
        """Which noise levels ended early, and why."""
        found = [(level.sigma, level.stopped) for level in self.levels if level.stopped]
        return tuple(f"sigma {sigma:.3g}: {reason}" for sigma, reason in found)


@dataclass(frozen=True, eq=False)
class FinetunedWeights:
    """A card, and log values by "q.7" and "r.7" of noise level 7.

    `tensors` may be an open file (`TensorFile`), of which only the level that is asked for is read.
    """

    card: FinetuneCard
    tensors: Mapping[str, Tensor]
    fingerprint: str = ""
    """sha256 of the file that they were read from."""

    def __repr__(self) -> str:
        learned = sum(bool(level.learned) for level in self.card.levels)
        return f"FinetunedWeights({self.card.base}, learned at {learned} noise levels)"

    def model(self, level: int) -> FPMC:
        """The collection of one noise level, an index of the card's sigmas.

        ParameterError for a level that was not learned.
        """
        if not self.card.levels[level].learned:
            raise ParameterError(
                f"these weights of '{self.card.base}' were not learned at sigma "
                f"{self.card.sigmas[level]:.3g}; fine-tune at all noise levels"
            )
        shape, structures = ImageShape(*self.card.shape), self.card.levels[level].structures

        def filter_of(axis: Axis) -> Filter:
            if axis in structures:
                return STRUCTURES[structures[axis]](shape)
            return learned_filter(self.tensors[f"{axis}.{level}"], shape)

        return FPMC(filter_of("q"), filter_of("r"))

    def save(self, path: str | Path) -> None:
        """Write card and tensors, whole or not at all."""
        save_tensors(Path(path), self.tensors, json.loads(self.card.model_dump_json()))


def finished_level(
    descent: Descent, *, learned: bool = True
) -> tuple[LevelCard, dict[str, Tensor]]:
    """The card of a finished noise level, and its log values by axis: float16, as they are stored.

    [M,H*W], [M,D], or one kernel [2H-1,2W-1] for all; what has a structure is in the card alone.
    """
    structures: dict[Axis, str] = {}
    tensors = dict(descent.best)
    filters: dict[Axis, Filter] = {"q": descent.base.precision, "r": descent.base.response}
    for axis, filter_ in filters.items():
        if axis in tensors:
            continue
        names = [name for name, cls in STRUCTURES.items() if type(filter_) is cls]
        if names:
            structures[axis] = names[0]
        else:
            tensors[axis] = plain_values(filter_).log().half()
    card = LevelCard(
        sigma=descent.problem.sigma,
        learned=learned,
        curve=tuple(descent.curve),
        stopped=descent.stopped,
        structures=structures,
    )
    return card, tensors


def joined(
    card: Mapping[str, Any], levels: Sequence[tuple[LevelCard, Mapping[str, Tensor]]]
) -> FinetunedWeights:
    """One file's content from those of all noise levels, in the order of the grid.

    `levels`: for each what `finished_level` gives; `card`: all fields of the file's but `levels`.
    """
    tensors = {
        f"{axis}.{index}": values
        for index, (_, found) in enumerate(levels)
        for axis, values in found.items()
    }
    cards = [level.model_dump() for level, _ in levels]
    return FinetunedWeights(FinetuneCard.model_validate({**card, "levels": cards}), tensors)
