"""What a plugin is: four small classes, each a frozen dataclass whose fields are its parameters.

Class attributes `name` and `citation` identify it; `needs` says what a denoiser must be given.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Literal, Protocol

from torch import Tensor

from fpmc_bench.errors import InputError, ParameterError
from fpmc_bench.fpmc import FPMC
from fpmc_bench.fpmc.shapes import ImageShape
from fpmc_bench.fpmc.source import Source

BYTE_SCALE = 1 / 127.5
"""Of images of 256 codes, in [-1, 1]."""
Split = Literal["train", "test"]
Need = Literal["teacher", "sensitivity"]
DenoiseFunction = Callable[[Tensor, float], Tensor]
"""(z [B,C,H,W], sigma) -> [B,C,H,W]."""


@dataclass(frozen=True)
class Place:
    """Marks a plugin's parameter as the name of something that its user keeps in a file.

        weights: Annotated[str, Place("weights")]

    A suite says the name, `--weights NAME=PATH` where that is, and the plugin gets the path; a name
    without a place stays as it is. So no place on a disk enters a suite or a record.
    """

    kind: Literal["weights"]


class Maps(Protocol):
    """Sensitivity maps by noise level, a tensor [S,H,W,H,W] or something that reads like one."""

    def __len__(self) -> int: ...

    def __getitem__(self, level: int, /) -> Tensor:
        """[H,W,H,W]: G[y,x] is the map of output pixel (y, x) (paper eq. 39)."""
        ...


class TeacherModel(Protocol):
    """A trained network as a denoiser. Differentiable in z where gradients are enabled."""

    @property
    def name(self) -> str: ...

    @property
    def fingerprint(self) -> str:
        """Equal exactly where outputs are: a hash of architecture and weights."""
        ...

    def __call__(self, z: Tensor, sigma: float) -> Tensor: ...


class Dataset(ABC):
    """Images to imitate from (`train`) and to measure on (`test`)."""

    name: ClassVar[str]
    citation: ClassVar[str]

    @abstractmethod
    def load(self, split: Split) -> Source:
        """The images of one split, the same on every machine."""


class FileDataset(Dataset):
    """A dataset that its user keeps in files, at a place of their choice.

    Places are given by `--data NAME=PATH` (see `fpmc_bench.catalog.places`).
    """

    splits: ClassVar[tuple[Split, ...]] = ("train", "test")
    """Without "test" a suite measures on samples of its tuning teacher."""
    expects: ClassVar[str]
    """What to have there and where to get it, as the end of an error's line."""

    def load(self, split: Split) -> Source:
        raise InputError(f"'{self.name}' has to be read from a place: load_from(path, split)")

    @abstractmethod
    def load_from(self, path: Path, split: Split) -> Source:
        """The images of one split; InputError names the file, what is wrong, and what to do."""


class Teacher(ABC):
    """A trained network that denoisers are measured against."""

    name: ClassVar[str]
    citation: ClassVar[str]
    dataset: ClassVar[str]
    """The dataset it was trained on."""

    @abstractmethod
    def load(self, device: str) -> TeacherModel:
        """The network with its weights, ready to call."""


class FileTeacher(Teacher):
    """A network that its user keeps in a file, at a place of their choice."""

    expects: ClassVar[str]
    """What to have there and where to get it, as the end of an error's line."""

    def load(self, device: str) -> TeacherModel:
        raise InputError(f"'{self.name}' has to be read from a place: load_from(path, device)")

    @abstractmethod
    def load_from(self, path: Path, device: str) -> TeacherModel:
        """The network of this file; CheckpointError names what is wrong with others."""


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


class Augmentation(ABC):
    """A rule that adds images to a source (paper section 4.3, appendix B)."""

    name: ClassVar[str]
    citation: ClassVar[str]
    max_rate: ClassVar[float] = 20
    """The most images that it can add per image."""

    def check(self, task: AugmentationTask) -> None:  # noqa: B027
        """Refuse a task that can't be done, before any work starts. Raises InputError and its kin.

        The rate has been checked already.
        """

    @abstractmethod
    def augment(self, task: AugmentationTask) -> Source:
        """Only the added images, about rate * len(source) of them; equal tasks, equal images."""


@dataclass(frozen=True, eq=False)
class Setting:
    """Everything a denoiser may look at: its source, the sigma grid, and what it said it needs.

    `sensitivity[s]` [H,W,H,W] are the maps at sigmas[s]: G[y,x] is that of output pixel (y, x).
    """

    source: Source
    sigmas: tuple[float, ...]
    teacher: TeacherModel | None = None
    sensitivity: Maps | None = None
    device: str = "cpu"

    def __post_init__(self) -> None:
        if not self.sigmas or not all(0 < sigma < float("inf") for sigma in self.sigmas):
            raise InputError(f"sigmas must be positive and finite, got {list(self.sigmas)}")

    @property
    def shape(self) -> ImageShape:
        return self.source.shape

    def nearest(self, sigma: float) -> int:
        """Index of the grid value nearest to sigma: schedules are step functions of it."""
        return min(range(len(self.sigmas)), key=lambda index: abs(self.sigmas[index] - sigma))


class Denoiser(ABC):
    """A rule that imitates a trained denoiser. Subclass FPMCDenoiser or FunctionDenoiser."""

    name: ClassVar[str]
    citation: ClassVar[str]
    url: ClassVar[str] = ""
    """Where its code or its paper is."""
    needs: ClassVar[frozenset[Need]] = frozenset()

    def check(self, shape: ImageShape, sigmas: tuple[float, ...]) -> None:  # noqa: B027
        """Refuse parameters that don't fit the dataset or the grid, before any work starts.

        Raises ParameterError that names the parameter, its value and what was expected.
        """

    def check_setting(self, setting: Setting) -> None:  # noqa: B027
        """Refuse what `check` could not see: another source, another teacher. As `check` does."""

    @property
    def fingerprint(self) -> str:
        """Of what the answers depend on beside parameters and setting, as the files it reads."""
        return ""

    @classmethod
    def candidates(cls, shape: ImageShape) -> Mapping[str, tuple[Any, ...]]:
        """Parameters that `fpmc-bench tune` may choose, with the values worth trying.

        A parameter whose type is a tuple is a schedule and gets its best value at every sigma;
        any other gets the one value that is best on average.
        """
        return {}

    def _check_schedule(self, parameter: str, values: tuple[float, ...], grid: int) -> None:
        if len(values) != grid:
            raise ParameterError(
                f"{self.name}: {parameter} has {len(values)} values, but the sigma grid has "
                f"{grid}; give one value per sigma, from the largest sigma down"
            )


class FPMCDenoiser(Denoiser):
    """A filtered posterior mean collection: says, for a sigma, its (Q, R, source); no more."""

    @abstractmethod
    def fpmc(self, setting: Setting, sigma: float) -> FPMC:
        """The collection at one noise level. Called once per sigma; the engine keeps it."""


class FunctionDenoiser(Denoiser):
    """Any other method: fits what it must and returns a function (z, sigma) -> image."""

    @abstractmethod
    def build(self, setting: Setting) -> DenoiseFunction:
        """Fit to the source. The function must not depend on how queries are batched."""
