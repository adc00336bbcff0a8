"""What units took here before, kept in the cache: by it the next ones are predicted.

A timing says nothing of a figure, so no key and no record depends on it, and what is lost or
damaged is merely not known. A row's timings are a small file, named by all of its provenance that
moves time, and by the device, threads, memory and versions that do.
"""

import platform
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from statistics import median
from typing import Any

import torch
from pydantic import NonNegativeFloat, NonNegativeInt, PositiveInt, ValidationError

from fpmc_bench.documents.reading import Document
from fpmc_bench.engine import EngineSettings
from fpmc_bench.errors import DiskError
from fpmc_bench.harness.processes import Processes
from fpmc_bench.harness.units import WorkUnit
from fpmc_bench.storage.atomic import write_atomically
from fpmc_bench.storage.cache import cache_folder
from fpmc_bench.storage.keys import content_key

KIND = "timings"
VERSION = 1
KEPT = 8
"""Timings of a kind and a row, the last ones: machines are slower one day than another."""
TIMELESS = frozenset({"items", "test", "seed"})
"""Of a provenance: what decides which images are asked about, and not how many."""


class Taken(Document):
    """Seconds that so many items took, from a process's taking them to their file."""

    items: PositiveInt
    seconds: NonNegativeFloat


class Timings(Document):
    """Of one row: `first` units of a process, which build and prepare, and `later` ones.

    `grown_bytes`: how far a process's memory grew above what it held before the row, at most.
    """

    first: tuple[Taken, ...] = ()
    later: tuple[Taken, ...] = ()
    grown_bytes: NonNegativeInt | None = None

    def and_then(self, other: "Timings") -> "Timings":
        """Both, the last ones of each kind."""
        grown = [one for one in (self.grown_bytes, other.grown_bytes) if one is not None]
        return Timings(
            first=(*self.first, *other.first)[-KEPT:],
            later=(*self.later, *other.later)[-KEPT:],
            grown_bytes=max(grown, default=None),
        )

    def seconds(self, items: int) -> float | None:
        """Of a unit of so many items, in a process that has the row ready; None where unknown."""
        return _median(self.later, items) or _median(self.first, items)

    def beginning(self, items: int) -> float | None:
        """What a process's first unit of the row takes beyond a later one; None where unknown."""
        first, later = _median(self.first, items), _median(self.later, items)
        return None if first is None or later is None else max(first - later, 0.0)


@dataclass
class Costs:
    """Timings under these circumstances: those of earlier commands, and what this one has noted."""

    circumstances: Mapping[str, Any]
    folder: Path
    _known: dict[str, Timings] = field(default_factory=dict, init=False)
    _noted: dict[str, Timings] = field(default_factory=dict, init=False)
    """Both by the names of files."""
    _names: dict[tuple[str, str], str] = field(default_factory=dict, init=False)
    """By row and role, for rows have many units."""

    @classmethod
    def here(cls, processes: Processes, settings: EngineSettings) -> "Costs":
        """On this process's device, with its threads and its memory."""
        device = processes.device
        return cls(
            {
                "device": torch.cuda.get_device_name(device)
                if device.startswith("cuda")
                else processor_name(),
                "threads": torch.get_num_threads(),
                "memory budget": settings.budget_bytes,
                "torch": torch.__version__,
                "version": VERSION,
            },
            cache_folder(KIND),
        )

    def seconds(self, unit: WorkUnit) -> float | None:
        """Predicted, of a unit whose row is ready; None for a row that was never timed here."""
        row = unit.row, unit.contestant.role
        if row not in self._names:
            self._names[row] = self._name(unit_facts(unit))
        return self._of(self._names[row]).seconds(len(unit.items))

    def of(self, facts: Mapping[str, Any]) -> Timings:
        """All that is known of what these facts name: a row, or work that has no row."""
        return self._of(self._name(facts))

    def note(
        self,
        facts: Mapping[str, Any],
        items: int,
        seconds: float,
        *,
        first: bool = False,
        grown_bytes: int | None = None,
    ) -> None:
        """That so many items took so long, for `keep` to write; `first` of the row in a process."""
        taken = (Taken(items=items, seconds=seconds),)
        kinds = {"first": taken} if first else {"later": taken}
        name, one = self._name(facts), Timings(**kinds, grown_bytes=grown_bytes)
        self._noted[name] = self._noted.get(name, Timings()).and_then(one)

    def keep(self) -> None:
        """Write what has been noted since the last time; where that can't be it is lost.

        Of processes that write at the same moment one may lose its own: that moves a prediction.
        """
        for name, noted in self._noted.items():
            together = _read(self.folder / name).and_then(noted)
            self._known[name] = together
            with suppress(DiskError):
                write_atomically(self.folder / name, together.model_dump_json().encode())
        self._noted.clear()

    def _of(self, name: str) -> Timings:
        if name not in self._known:
            self._known[name] = _read(self.folder / name)
        noted = self._noted.get(name)
        return self._known[name].and_then(noted) if noted else self._known[name]

    def _name(self, facts: Mapping[str, Any]) -> str:
        return f"{content_key({'of': facts, **self.circumstances}, letters=32)}.json"


def unit_facts(unit: WorkUnit) -> dict[str, Any]:
    """What names the timings of a unit's row: those of its block of items are of all of them."""
    return unit.provenance.model_dump(mode="json", exclude=set(TIMELESS))


@cache
def processor_name() -> str:
    """As Linux knows it, as "AMD EPYC 9004"; elsewhere as Python does."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except (OSError, ValueError):
        lines = []
    named = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return named[0] if named else platform.processor() or platform.machine()


def _median(taken: Sequence[Taken], items: int) -> float | None:
    """Of blocks of as many items, or of the nearest size, in proportion."""
    if not taken:
        return None
    size = min((one.items for one in taken), key=lambda there: abs(there - items))
    return median(one.seconds for one in taken if one.items == size) * items / size


def _read(path: Path) -> Timings:
    """Those of a file; none where it is damaged or not there."""
    try:
        return Timings.model_validate_json(path.read_bytes())
    except (OSError, ValidationError):
        return Timings()
