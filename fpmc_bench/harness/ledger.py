"""The ledger: finished work units as files, named by the hash of what they depend on.

A unit that is in the ledger is never computed again; anything that could change its numbers is
part of its name. Files appear whole or not at all, so a run may be killed at any moment.
"""

import shutil
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from pydantic import ValidationError

from fpmc_bench.documents.environment import UnitNote
from fpmc_bench.errors import RunError
from fpmc_bench.storage.arrays import Arrays, read_arrays, write_arrays
from fpmc_bench.storage.atomic import write_atomically

NOTE = "note"
"""The array that holds a unit's note, as JSON."""


@dataclass(frozen=True)
class FinishedUnit:
    """What a unit computed, and where, when and how long."""

    arrays: Arrays
    note: UnitNote


@dataclass(frozen=True)
class Ledger:
    """Finished units and failures under one folder, shared by all processes of a run."""

    directory: Path

    def read(self, key: str) -> FinishedUnit | None:
        """A unit, or None where it is not (or not readably) there."""
        try:
            arrays = read_arrays(self._path(key))
            note = UnitNote.model_validate_json(str(arrays.pop(NOTE)))
        except (RunError, KeyError, ValidationError):
            return None
        return FinishedUnit(arrays, note)

    def required(self, key: str, what: str) -> FinishedUnit:
        """A unit that others have computed; RunError where it is gone."""
        unit = self.read(key)
        if unit is None:
            raise RunError(f"{what} ({key}) vanished from the ledger {self.directory}")
        return unit

    def write(self, key: str, arrays: Arrays, note: UnitNote) -> None:
        """Keep a finished unit: arrays of any shapes [...], by name."""
        write_arrays(self._path(key), {**arrays, NOTE: np.array(note.model_dump_json())})

    def has(self, key: str) -> bool:
        """Whether the unit of this key is finished."""
        return self._path(key).is_file()

    def fail(self, name: str, report: str) -> None:
        """Note that `name` (entry and protocol) failed: other processes then skip it."""
        write_atomically(self._failures / f"{name}.txt", report.encode())

    def failed(self, name: str) -> bool:
        """Whether `name` has failed, in whatever process."""
        return (self._failures / f"{name}.txt").is_file()

    def failures(self) -> dict[str, str]:
        """Name -> traceback of everything that failed in this run."""
        return {path.stem: path.read_text() for path in sorted(self._failures.glob("*.txt"))}

    def forget_failures(self) -> None:
        """A new attempt: what failed before is tried again."""
        shutil.rmtree(self._failures, ignore_errors=True)

    @property
    def _failures(self) -> Path:
        return self.directory / "failures"

    def _path(self, key: str) -> Path:
        return self.directory / f"{key}.npz"
