"""The ledger: finished work units as files, named by the hash of what they depend on.

A unit that is in the ledger is never computed again; anything that could change its numbers is
part of its name. Files appear whole or not at all, so a run may be killed at any moment. No file is
believed by its name alone: a unit holds its key and a digest of its content, and one that is
damaged or another's is not there.
"""

import hashlib
import logging
import shutil
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import ValidationError

from fpmc_bench.documents.environment import UnitNote
from fpmc_bench.errors import RunError
from fpmc_bench.storage.arrays import Arrays, read_arrays, write_arrays
from fpmc_bench.storage.atomic import write_atomically

NOTE, KEY, DIGEST = "note", "key", "sha256"
"""Arrays of text beside a unit's own: its note as JSON, its key, and a digest of all but itself."""
PREDICTION, TRAJECTORY = "prediction", "trajectory"
"""Arrays of a unit beside its errors, which have the names of metrics."""
State = tuple[int, int]
"""Of a file: its size, and its time of change in ns."""

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class FinishedUnit:
    """What a unit computed, and where, when and how long."""

    arrays: Arrays
    note: UnitNote


@dataclass(frozen=True)
class Ledger:
    """Finished units and failures under one folder, shared by all processes of a run."""

    directory: Path
    _looked_at: dict[str, tuple[State, bool]] = field(
        default_factory=dict, repr=False, compare=False
    )
    """Key -> the state in which this process last read a unit's file, and whether it was whole."""

    def read(self, key: str) -> FinishedUnit | None:
        """A unit; None where it is not there.

        None too where it is damaged, which is no RunError but a line in the log, once.
        """
        state = self._state(key)
        if state is None:
            return None
        try:
            unit = self._read(key, state[0])
        except RunError as error:
            if self._looked_at.get(key) != (state, False):
                log.warning("%s; it is computed anew", error)
            unit = None
        self._looked_at[key] = state, unit is not None
        return unit

    def has(self, key: str) -> bool:
        """Whether `read` would give the unit: each state of its file is read once."""
        state = self._state(key)
        if state is None:
            return False
        known, whole = self._looked_at.get(key, (None, False))
        return whole if known == state else self.read(key) is not None

    def names(self) -> frozenset[str]:
        """Keys of all units that have a file, whole or not: enough to count by."""
        return frozenset(path.stem for path in self.directory.glob("*.npz"))

    def required(self, key: str, what: str) -> FinishedUnit:
        """A unit that others have computed; RunError where it is gone."""
        unit = self.read(key)
        if unit is None:
            raise RunError(f"{what} ({key}) vanished from the ledger {self.directory}")
        return unit

    def write(self, key: str, arrays: Arrays, note: UnitNote) -> None:
        """Keep a finished unit, arrays of any shapes by name. DiskError where that can't be."""
        content = {**arrays, NOTE: np.array(note.model_dump_json()), KEY: np.array(key)}
        write_arrays(self._path(key), {**content, DIGEST: np.array(_digest(content))})
        if state := self._state(key):
            self._looked_at[key] = state, True

    def forget(self, key: str) -> None:
        """A unit that is to be computed anew; nothing where it is not there."""
        self._path(key).unlink(missing_ok=True)

    def fail(self, name: str, report: str) -> None:
        """Note that `name` (entry and protocol) failed: other processes then skip it."""
        write_atomically(self._failures / f"{name}.txt", report.encode())

    def failed(self, name: str) -> bool:
        """Whether `name` has failed, in whatever process."""
        return (self._failures / f"{name}.txt").is_file()

    def failures(self) -> dict[str, str]:
        """Name -> traceback of everything that failed in this run."""
        return {
            path.stem: path.read_text(encoding="utf-8")
            for path in sorted(self._failures.glob("*.txt"))
        }

    def forget_failures(self) -> None:
        """A new attempt: what failed before is tried again."""
        shutil.rmtree(self._failures, ignore_errors=True)

    @property
    def _failures(self) -> Path:
        return self.directory / "failures"

    def _read(self, key: str, size: int) -> FinishedUnit:
        """RunError where the file, of so many bytes, is not what was written for this key."""
        arrays = read_arrays(self._path(key), size)  # which `write` does not compress
        digest = arrays.pop(DIGEST, None)
        if digest is None or str(digest) != _digest(arrays):
            raise RunError(f"{self._path(key)} is damaged: it does not have the digest it should")
        if str(arrays.pop(KEY, "")) != key:
            raise RunError(f"{self._path(key)} holds another unit")
        try:
            note = UnitNote.model_validate_json(str(arrays.pop(NOTE, "")))
        except ValidationError as error:
            raise RunError(f"{self._path(key)} is of another version of fpmc_bench") from error
        return FinishedUnit(arrays, note)

    def _state(self, key: str) -> State | None:
        """None where there is no file."""
        try:
            found = self._path(key).stat()
        except OSError:
            return None
        return found.st_size, found.st_mtime_ns

    def _path(self, key: str) -> Path:
        return self.directory / f"{key}.npz"


def _digest(arrays: Mapping[str, NDArray[Any]]) -> str:
    digest = hashlib.sha256()
    for name in sorted(arrays):
        array = np.ascontiguousarray(arrays[name])
        digest.update(f"{name}\0{array.dtype.str}{arrays[name].shape}\0".encode())
        digest.update(array.tobytes())
    return digest.hexdigest()
