"""Denoisers: rules that imitate a trained denoiser, and what they may look at."""

from abc import abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Literal, Protocol

from torch import Tensor

from fpmc_bench.contracts.plugin import Plugin
from fpmc_bench.contracts.teachers import TeacherModel
from fpmc_bench.errors import ParameterError
from fpmc_bench.fpmc import FPMC
from fpmc_bench.fpmc.shapes import ImageShape
from fpmc_bench.fpmc.sigmas import AnySigma, sigma_of, sigmas_of
from fpmc_bench.fpmc.source import Source

Need = Literal["teacher", "sensitivity"]
"""What a denoiser may ask its setting for, beside the source and the noise levels."""
DenoiseFunction = Callable[[Tensor, float], Tensor]
"""(z [B,C,H,W], sigma) -> [B,C,H,W]."""


class Maps(Protocol):
    """Sensitivity maps by noise level: a tensor [S,H,W,H,W], or something that reads like one."""

    def __len__(self) -> int: ...

    def __getitem__(self, level: int, /) -> Tensor:
        """[H,W,H,W]: G[y,x] is the map of output pixel (y, x) (paper eq. 39)."""
        ...


@dataclass(frozen=True, eq=False)
class Setting:
    """Everything a denoiser may look at: its source, the sigma grid, and what it said it needs.

    `sensitivity[s]` [H,W,H,W] are the maps at sigmas[s]: G[y,x] is that of output pixel (y, x).
    `sigmas` may be given as a tensor or an array [S]. Raises InputError for an empty grid, or a
    sigma that is not positive and finite.
    """

    source: Source
    sigmas: tuple[float, ...]
    teacher: TeacherModel | None = None
    sensitivity: Maps | None = None
    device: str = "cpu"

    def __post_init__(self) -> None:
        object.__setattr__(self, "sigmas", sigmas_of(self.sigmas))

    @property
    def shape(self) -> ImageShape:
        """Of one image of the source."""
        return self.source.shape

    def nearest(self, sigma: AnySigma) -> int:
        """Index of the grid value nearest to sigma: schedules are step functions of it."""
        known = sigma_of(sigma)
        return min(range(len(self.sigmas)), key=lambda index: abs(self.sigmas[index] - known))


class Denoiser(Plugin):
    """A rule that imitates a trained denoiser. Subclass FPMCDenoiser or FunctionDenoiser."""

    needs: ClassVar[frozenset[Need]] = frozenset()
    """What its setting must have."""
    formula: ClassVar[str] = ""
    """What it computes, as plain text for pages about its rows; lines are kept."""

    def check(self, shape: ImageShape, sigmas: tuple[float, ...]) -> None:
        """Refuse parameters that don't fit the dataset or the grid, before any work starts.

        Raises ParameterError that names the parameter, its value and what was expected.
        """

    def check_schedule(
        self, parameter: str, values: Sequence[object], sigmas: Sequence[float]
    ) -> None:
        """ParameterError unless `values` of the parameter of this name are one per sigma."""
        if len(values) != len(sigmas):
            raise ParameterError(
                f"{self.name}: {parameter} has {len(values)} values, but the sigma grid has "
                f"{len(sigmas)}; give one value per sigma, from the largest sigma down"
            )

    def check_setting(self, setting: Setting) -> None:
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


class FPMCDenoiser(Denoiser):
    """A filtered posterior mean collection: says, for a sigma, its (Q, R, source); no more."""

    @abstractmethod
    def fpmc(self, setting: Setting, sigma: float) -> FPMC:
        """The collection at one noise level; kept by the caller as far as its budget goes."""


class FunctionDenoiser(Denoiser):
    """Any other method: fits what it must and returns a function (z, sigma) -> image."""

    @abstractmethod
    def build(self, setting: Setting) -> DenoiseFunction:
        """Fit to the source. The function must not depend on how queries are batched."""
