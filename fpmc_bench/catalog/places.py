"""Where the user keeps what is not part of fpmc_bench: data sets, networks, weights, by name.

Looked up in this order: the command line, an environment variable, the user's configuration file.
Places never enter a suite: what lies there is told apart by its content.
"""

import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from fpmc_bench.catalog.configuration import KINDS, Kind, config_file, configuration
from fpmc_bench.documents.protocols import ROLES
from fpmc_bench.errors import UnknownNameError, UsageError

if TYPE_CHECKING:
    from fpmc_bench.catalog.registry import Registry


@dataclass(frozen=True)
class Places:
    """Given on the command line: `--data NAME=PATH`, and likewise `--teacher`, `--weights`."""

    data: Mapping[str, str] = field(default_factory=dict)
    teacher: Mapping[str, str] = field(default_factory=dict)
    weights: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for kind in KINDS:  # paths may be given as Path, too
            named = {name: str(place) for name, place in getattr(self, kind).items()}
            object.__setattr__(self, kind, named)

    @classmethod
    def given(
        cls,
        data: Sequence[str] = (),
        teacher: Sequence[str] = (),
        weights: Sequence[str] = (),
    ) -> "Places":
        """From options as they were written; UsageError for one without a name or twice."""
        return cls(
            _pairs("--data", data), _pairs("--teacher", teacher), _pairs("--weights", weights)
        )

    def refuse_unknown(self, registry: "Registry") -> None:
        """UnknownNameError for a place of data or of a network that nobody offers."""
        for name in self.data:
            registry.get("datasets", name)
        known = (*ROLES, *registry.items["teachers"])
        for name in self.teacher:
            if name not in known:
                raise UnknownNameError("role or teacher", name, known)

    def find(self, kind: Kind, name: str) -> str | None:
        """What the user says is at `name`, or None. UsageError for an unreadable configuration."""
        given: Mapping[str, str] = getattr(self, kind)
        return (
            given.get(name)
            or os.environ.get(variable(kind, name))
            or configuration().places.get(kind, {}).get(name)
        )

    def path(self, kind: Kind, name: str) -> Path:
        """Where `name` lies, once `missing` has nothing to say of it."""
        place = self.find(kind, name)
        assert place is not None
        return Path(place).expanduser()

    def missing(
        self, kind: Kind, what: str, name: str, expects: str, role: str | None = None
    ) -> str | None:
        """What a user has to do before the `what` called `name` can be read; None: nothing."""
        place = self.find(kind, name)
        if place is None:
            return f"{what} '{name}': give {self.ways(kind, name, role)}; {expects}"
        if not Path(place).expanduser().exists():
            return f"{what} '{name}': there is nothing at {place}; {expects}"
        return None

    def ways(self, kind: Kind, name: str, role: str | None = None) -> str:
        """How to say where `name` is, for an error; a teacher may also be named by its role."""
        return (
            f"--{kind} {role or name}=PATH, the environment variable {variable(kind, name)}, or "
            f"'{name} = \"PATH\"' under [{kind}] in {config_file()}"
        )


def variable(kind: Kind, name: str) -> str:
    """FPMC_BENCH_DATA_CIFAR10 of ("data", "cifar10")."""
    return f"FPMC_BENCH_{kind.upper()}_{re.sub(r'[^A-Z0-9]', '_', name.upper())}"


def _pairs(option: str, given: Sequence[str]) -> dict[str, str]:
    pairs: dict[str, str] = {}
    for text in given:
        name, separator, what = text.partition("=")
        if not (separator and name.strip() and what.strip()):
            raise UsageError(f"{option} {text}: expected NAME=PATH")
        if name in pairs:
            raise UsageError(f"{option} {name}= was given twice: {pairs[name]} and {what}")
        pairs[name] = what
    return pairs
