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
from fpmc_bench.harness.cluster.processes import Processes
from fpmc_bench.harness.units import Workload, WorkUnit
from fpmc_bench.storage.cache import cache_folder
from fpmc_bench.storage.keys import content_key
from fpmc_bench.storage.notes import keep_note, kept_note

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

    `guessed` by a few calls, of such units that nobody has waited for: of a first and a later one.
    `grown_bytes`: how far a process's memory grew above what it held before the row, at most.
    """

    first: tuple[Taken, ...] = ()
    later: tuple[Taken, ...] = ()
    guessed: tuple[Taken, Taken] | None = None
    grown_bytes: NonNegativeInt | None = None

    def and_then(self, other: "Timings") -> "Timings":
        """Both, the last ones of each kind."""
        grown = [one for one in (self.grown_bytes, other.grown_bytes) if one is not None]
        return Timings(
            first=(*self.first, *other.first)[-KEPT:],
            later=(*self.later, *other.later)[-KEPT:],
            guessed=other.guessed or self.guessed,
            grown_bytes=max(grown, default=None),
        )

    @property
    def is_guess(self) -> bool:
        """Whether all that is known of later units are guesses."""
        return not self.later and self.guessed is not None

    def seconds(self, items: int) -> float | None:
        """Of a unit of so many items, in a process that has the row ready; None where unknown."""
        guessed = self.guessed[1:] if self.guessed else ()
        return _median(self.later or guessed or self.first, items)

    def beginning(self, items: int) -> float:
        """What a process's first unit of the row takes beyond a later one; 0 where unknown."""
        guessed = self.guessed[:1] if self.guessed else ()
        first = _median(self.first if self.later else guessed, items)
        return max((first or 0.0) - (self.seconds(items) or 0.0), 0.0)


@dataclass
class Costs:
    """Timings under these circumstances: those of earlier commands, and what this one has noted."""

    circumstances: Mapping[str, Any]
    folder: Path
    _known: dict[str, Timings] = field(default_factory=dict, init=False)
    _noted: dict[str, Timings] = field(default_factory=dict, init=False)
    _facts: dict[str, Mapping[str, Any]] = field(default_factory=dict, init=False)
    """All by the names of files; what timings are noted of."""
    _names: dict[tuple[str, str], str] = field(default_factory=dict, init=False)
    """By row and role, for rows have many units."""

    @classmethod
    def here(
        cls, processes: Processes, settings: EngineSettings, *, together: bool = False
    ) -> "Costs":
        """On this process's device, with its threads and its memory; or on all, `together`."""
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
                **({"together": processes.world} if together else {}),
            },
            cache_folder(KIND),
        )

    def seconds(self, unit: WorkUnit) -> float | None:
        """Predicted, of a whole unit of this one's row; None where that was never timed here.

        Of a whole one, so that a row's units stay together where they are sorted by it.
        """
        row = unit.row, unit.contestant.role
        if row not in self._names:
            self._names[row] = self._name(unit_facts(unit))
        return self._of(self._names[row]).seconds(unit.provenance.block_items)

    def of(self, facts: Mapping[str, Any]) -> Timings:
        """All that is known of what these facts name: a row, or work that has no row."""
        return self._of(self._name(facts))

    def note(
        self, facts: Mapping[str, Any], items: int, seconds: float, *, first: bool = False
    ) -> None:
        """That so many items took so long; `first` of the row in a process."""
        taken = (Taken(items=items, seconds=seconds),)
        self.add(facts, Timings(first=taken) if first else Timings(later=taken))

    def add(self, facts: Mapping[str, Any], timings: Timings) -> None:
        """Something more that is known, for `keep` to write."""
        name = self._name(facts)
        self._facts[name] = facts
        self._noted[name] = self._noted.get(name, Timings()).and_then(timings)

    def keep(self) -> None:
        """Write what has been noted since the last time; where that can't be it is lost.

        Of processes that write at the same moment one may lose its own: that moves a prediction.
        """
        for name, noted in self._noted.items():
            together = _read(self.folder / name).and_then(noted)
            self._known[name] = together
            card = {"of": self._facts[name], **self.circumstances}
            with suppress(DiskError):
                keep_note(self.folder / name, together.model_dump(mode="json"), card)
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


def map_facts(workload: Workload) -> dict[str, Any]:
    """What the time of a sensitivity map depends on, beside the machine."""
    context = workload.plan.context
    return {
        "kind": "sensitivity map",
        "teacher": context.tuning.fingerprint,
        "shape": list(context.dataset.shape),
        "samples": workload.plan.suite.sensitivity.samples,
        "device": torch.device(context.device).type,
    }


def sampled_facts(workload: Workload) -> dict[str, Any]:
    """The same of a block of test images that are sampled."""
    context = workload.plan.context
    return {
        "kind": "test images",
        "teacher": context.tuning.fingerprint,
        "shape": list(context.dataset.shape),
        "sigmas": len(context.sigmas),
        "device": torch.device(context.device).type,
    }


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
        return Timings.model_validate(kept_note(path) or {})
    except ValidationError:
        return Timings()
