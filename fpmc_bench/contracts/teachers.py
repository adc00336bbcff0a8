"""Teachers: trained networks that denoisers imitate and are measured against."""

from abc import abstractmethod
from pathlib import Path
from typing import ClassVar, Protocol

from torch import Tensor

from fpmc_bench.contracts.plugin import Plugin
from fpmc_bench.errors import InputError


class TeacherModel(Protocol):
    """A trained network as a denoiser. Differentiable in z where gradients are enabled."""

    @property
    def name(self) -> str: ...

    @property
    def fingerprint(self) -> str:
        """Equal exactly where outputs are: a hash of architecture and weights."""
        ...

    def __call__(self, z: Tensor, sigma: float) -> Tensor:
        """z [B,C,H,W], noise level sigma > 0 -> denoised [B,C,H,W] of z's type, on its device."""
        ...


class Teacher(Plugin):
    """A trained network that denoisers are measured against."""

    dataset: ClassVar[str]
    """Name of the dataset it was trained on."""

    @abstractmethod
    def load(self, device: str) -> TeacherModel:
        """The network with its weights, ready to call."""


class FileTeacher(Teacher):
    """A network that its user keeps in a file, at a place of their choice (`--teacher`)."""

    expects: ClassVar[str]
    """What to have there and where to get it, as the end of an error's line."""

    def load(self, device: str) -> TeacherModel:
        """InputError: only `load_from` knows the place."""
        raise InputError(f"'{self.name}' has to be read from a place: load_from(path, device)")

    @abstractmethod
    def load_from(self, path: Path, device: str) -> TeacherModel:
        """The network of this file. Raises CheckpointError that names what is wrong with others."""
