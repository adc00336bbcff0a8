"""Augmentations: rules that add images to a source (paper section 4.3, appendix B)."""

from abc import abstractmethod
from dataclasses import dataclass
from typing import ClassVar

from fpmc_bench.contracts.datasets import BYTE_SCALE
from fpmc_bench.contracts.plugin import Plugin
from fpmc_bench.contracts.teachers import TeacherModel
from fpmc_bench.fpmc.source import Source


@dataclass(frozen=True, eq=False)
class AugmentationTask:
    """What an augmentation is to add to: `rate` * len(source) images, the same for equal seeds.

    `sigmas`, the suite's grid, and `device` are for those that ask the tuning `teacher`.
    """

    source: Source
    rate: float
    seed: int
    sigmas: tuple[float, ...] = ()
    teacher: TeacherModel | None = None
    device: str = "cpu"

    @property
    def keeps_bytes(self) -> bool:
        """Whether the source has 256 codes, which added images are then rounded to."""
        return self.source.is_coded and self.source.scale == BYTE_SCALE


class Augmentation(Plugin):
    """A rule that adds images to a source (paper section 4.3, appendix B)."""

    max_rate: ClassVar[float] = 20
    """The most images that it can add per image."""

    def check(self, task: AugmentationTask) -> None:
        """Refuse a task that can't be done, before any work starts.

        Raises InputError and its kin. The rate has been checked against `max_rate` already.
        """

    @abstractmethod
    def augment(self, task: AugmentationTask) -> Source:
        """Only the added images, about rate * len(source) of them; equal tasks, equal images.

        Raises ParameterError for a rate that it can't answer, InputError for a source.
        """
