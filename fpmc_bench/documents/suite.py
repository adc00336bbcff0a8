"""Suite: a frozen, validated document that fixes everything a run's figures depend on."""

import hashlib
import json
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, NonNegativeInt, ValidationError, model_validator
from pydantic_core import to_json

from fpmc_bench.errors import SuiteError, UnknownNameError

Protocol = Literal["denoiser-mse", "sample-mse"]
PROTOCOLS: tuple[Protocol, ...] = ("denoiser-mse", "sample-mse")


class _Frozen(BaseModel):
    # parameters of denoisers may be infinite, which JSON can only say as text
    model_config = ConfigDict(
        frozen=True, extra="forbid", allow_inf_nan=False, ser_json_inf_nan="strings"
    )


class DatasetChoice(_Frozen):
    """A dataset plugin and its parameters."""

    name: str
    params: dict[str, Any] = Field(default_factory=dict)


class SigmaGrid(_Frozen):
    """Karras noise levels from `smax` down to `smin` (paper C.4)."""

    steps: int = Field(default=18, ge=2)
    smin: float = Field(default=0.002, gt=0)
    smax: float = Field(default=80.0, gt=0)
    rho: float = Field(default=7.0, gt=0)


class Teachers(_Frozen):
    """`tuning` sets schedules and is the reference of denoiser-mse; `evaluation`, a different
    network, is the reference of sample-mse, where the tuning teacher is the ceiling."""

    tuning: str
    evaluation: str


class Sensitivity(_Frozen):
    """How sensitivity maps are estimated: noisy training images per sigma."""

    samples: int = Field(default=32, ge=1)


class SourceAugmentation(_Frozen):
    """An augmentation plugin and |A|/|D|, how many images it adds per image."""

    name: str
    rate: float = Field(default=1.0, gt=0, le=20)
    params: dict[str, Any] = Field(default_factory=dict)


class Entry(_Frozen):
    """One row of the leaderboard: a denoiser with its parameters and source."""

    name: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._+-]*$")
    denoiser: str
    params: dict[str, Any] = Field(default_factory=dict)
    augmentations: tuple[SourceAugmentation, ...] = ()


class Suite(_Frozen):
    """Dataset, noise levels, teachers, item counts, seed and entries.

    `levels` are those of the noise levels, counted from 0 at smax, that denoiser-mse is measured
    at; None: all. Schedules have a value for every noise level all the same.
    """

    schema_version: Literal[1] = 1
    name: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")
    description: str = ""
    dataset: DatasetChoice
    sigmas: SigmaGrid = SigmaGrid()
    teachers: Teachers
    sensitivity: Sensitivity = Sensitivity()
    items: int = Field(ge=2, le=100_000)
    block_items: int = Field(default=50, ge=1)
    seed: int = Field(default=0, ge=0)
    levels: tuple[NonNegativeInt, ...] | None = Field(default=None, min_length=1)
    protocols: tuple[Protocol, ...] = Field(default=PROTOCOLS, min_length=1)
    entries: tuple[Entry, ...] = Field(min_length=1)

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
        return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()

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
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise SuiteError(f"no suite file at {path}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise SuiteError(f"{path} is not valid TOML: {error}") from error
    return validated_suite(content, str(path))


def validated_suite(content: Mapping[str, Any], origin: str) -> Suite:
    """A Suite from plain data; SuiteError lists every fault at once."""
    try:
        # as JSON, where strictness means types and lists still stand for tuples
        return Suite.model_validate_json(to_json(content, inf_nan_mode="constants"), strict=True)
    except ValidationError as error:
        raise SuiteError(f"{origin} is not a valid suite:\n{faults(error, 'suite')}") from error


def faults(error: ValidationError, document: str) -> str:
    """Every fault of a document, a line each, by its field."""
    return "\n".join(
        f"  {'.'.join(str(part) for part in fault['loc']) or document}: {fault['msg']}"
        for fault in error.errors()
    )
