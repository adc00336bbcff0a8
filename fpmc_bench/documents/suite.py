"""Suite: a frozen, validated document that fixes everything a run's figures depend on."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, Self

from pydantic import Field, NonNegativeInt, model_validator

from fpmc_bench.documents.names import ROW_NAME, SUITE_NAME
from fpmc_bench.documents.protocols import PROTOCOLS
from fpmc_bench.documents.reading import FiniteDocument, Protocol, read_toml, validated
from fpmc_bench.errors import UnknownNameError
from fpmc_bench.storage.keys import content_key


class DatasetChoice(FiniteDocument):
    """A dataset plugin and its parameters."""

    name: str
    params: dict[str, Any] = Field(default_factory=dict)


class SigmaGrid(FiniteDocument):
    """Karras noise levels from `smax` down to `smin` (paper C.4)."""

    steps: int = Field(default=18, ge=2)
    smin: float = Field(default=0.002, gt=0)
    smax: float = Field(default=80.0, gt=0)
    rho: float = Field(default=7.0, gt=0)


class Teachers(FiniteDocument):
    """`tuning` sets schedules and is the reference of denoiser-mse; `evaluation`, a different
    network, is the reference of sample-mse, where the tuning teacher is the other network."""

    tuning: str
    evaluation: str


class Sensitivity(FiniteDocument):
    """How sensitivity maps are estimated: noisy training images per sigma."""

    samples: int = Field(default=32, ge=1)


class SourceAugmentation(FiniteDocument):
    """An augmentation plugin and |A|/|D|, how many images it adds per image."""

    name: str
    rate: float = Field(default=1.0, gt=0, le=20)
    params: dict[str, Any] = Field(default_factory=dict)


class Entry(FiniteDocument):
    """One row of the leaderboard: a denoiser with its parameters and source."""

    name: str = Field(pattern=ROW_NAME)
    denoiser: str
    params: dict[str, Any] = Field(default_factory=dict)
    augmentations: tuple[SourceAugmentation, ...] = ()


class Suite(FiniteDocument):
    """Dataset, noise levels, teachers, item counts, seed and entries.

    `levels` are those of the noise levels, counted from 0 at smax, that denoiser-mse is measured
    at; None: all. Schedules have a value for every noise level all the same.
    """

    schema_version: Literal[1] = 1
    name: str = Field(pattern=SUITE_NAME)
    description: str = ""
    dataset: DatasetChoice
    sigmas: SigmaGrid = SigmaGrid()
    teachers: Teachers
    sensitivity: Sensitivity = Sensitivity()
    items: int = Field(ge=2, le=100_000)
    block_items: int = Field(default=50, ge=1)
    seed: int = Field(default=0, ge=0)
    levels: tuple[NonNegativeInt, ...] | None = Field(default=None, min_length=1)
    protocols: tuple[Protocol, ...] = Field(default=tuple(PROTOCOLS), min_length=1)
    entries: tuple[Entry, ...] = Field(min_length=1)

    def __repr__(self) -> str:
        return (
            f"Suite({self.name}: {len(self.entries)} entries, {self.items} items, "
            f"{self.sigmas.steps} noise levels, seed {self.seed})"
        )

    __str__ = __repr__

    @model_validator(mode="after")
    def _distinct_entries(self) -> Self:
        names = [entry.name for entry in self.entries]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise ValueError(f"entry names must differ, but these stand twice: {', '.join(twice)}")
        return self

    @model_validator(mode="after")
    def _levels_of_the_grid(self) -> Self:
        levels = self.levels or ()
        if len(set(levels)) < len(levels) or any(level >= self.sigmas.steps for level in levels):
            raise ValueError(
                f"levels must be different numbers from 0 to {self.sigmas.steps - 1}, got "
                f"{list(levels)}"
            )
        return self

    @property
    def fingerprint(self) -> str:
        """sha256 of all that two entries must share to be compared: everything but the entries.

        Independent of layout, comments and description, and of which protocols are run.
        """
        content = self.model_dump(mode="json", exclude={"description", "entries", "protocols"})
        if self.levels is None:
            del content["levels"]  # as it was before there was a choice
        return content_key(content, letters=64)

    def entry(self, name: str) -> Entry:
        """The entry of this name, or UnknownNameError."""
        for entry in self.entries:
            if entry.name == name:
                return entry
        raise UnknownNameError("entry", name, [entry.name for entry in self.entries])

    def replaced(self, **changes: Any) -> "Suite":
        """A copy with fields replaced, validated anew."""
        return validated_suite({**self.model_dump(), **changes}, "the changed suite")


def read_suite(path: Path) -> Suite:
    """Parse and validate a suite file; SuiteError names the file, the field and the fault."""
    return read_toml(Suite, path, "suite")


def validated_suite(content: Mapping[str, Any], origin: str) -> Suite:
    """A Suite from plain data; SuiteError lists every fault at once."""
    return validated(Suite, content, origin, "suite")
