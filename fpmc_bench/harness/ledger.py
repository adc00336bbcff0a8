"""The ledger: finished work units as files, named by the content of what they depend on.

A unit that is in the ledger is never computed again; anything that could change its numbers is
part of its name. Files appear whole or not at all, so a run may be killed at any moment.
"""

import hashlib
import io
import json
import shutil
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fpmc_bench.storage.atomic import write_atomically

Arrays = dict[str, NDArray[Any]]


def content_key(content: Mapping[str, Any]) -> str:
    """A short sha256 of plain data."""
    text = json.dumps(content, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:24]


@dataclass(frozen=True)
class Ledger:
    """Finished units and failures under one folder, shared by all processes of a run."""

    directory: Path

    def read(self, key: str) -> Arrays | None:
        """The arrays of a unit, or None where it is not (or not readably) there."""
        try:
            content = io.BytesIO(self._path(key).read_bytes())
            with np.load(content, allow_pickle=False) as file:
                return {name: file[name] for name in file.files}
        except (OSError, ValueError, zipfile.BadZipFile, EOFError):
            return None

    def write(self, key: str, arrays: Arrays) -> None:
        buffer = io.BytesIO()
        np.savez(buffer, **arrays)  # type: ignore[arg-type]
        write_atomically(self._path(key), buffer.getvalue())

    def has(self, key: str) -> bool:
        return self._path(key).is_file()

    def fail(self, name: str, report: str) -> None:
        """Note that `name` (entry and protocol) failed: other processes then skip it."""
        write_atomically(self._failures / f"{name}.txt", report.encode())

    def failed(self, name: str) -> bool:
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
