"""Folders that commands write into: made at the door, held by one of them at a time."""

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from fpmc_bench.errors import RunError, UsageError

LONGEST_SHOWN = 60


def make_folder(path: Path) -> None:
    """With all above it; UsageError where something else is in the way."""
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UsageError(f"can't write into {path}: {error.strerror or error}") from error


@contextmanager
def locked(folder: Path, work: str, option: str) -> Iterator[None]:
    """Hold a folder for one `work`, as "run"; RunError where it is held already.

    `option` is that of the command line which chooses the folder.
    """
    make_folder(folder)
    lock = FileLock(folder / ".lock", timeout=0)
    try:
        lock.acquire()
    except Timeout as error:
        raise RunError(
            f"{folder} is in use by another {work}; wait for it, or choose another {option}"
        ) from error
    try:
        yield
    finally:
        lock.release()


def differences(there: Mapping[str, Any], asked: Mapping[str, Any]) -> str:
    """What of plain data is asked for otherwise than it is there; empty where nothing is."""
    changed = [key for key, value in asked.items() if there.get(key) != value]
    return "; ".join(f"{key} {_short(there.get(key))}, now {_short(asked[key])}" for key in changed)


def _short(value: Any) -> str:
    text = json.dumps(value)
    return text if len(text) <= LONGEST_SHOWN else f"{text[: LONGEST_SHOWN - 3]}..."
