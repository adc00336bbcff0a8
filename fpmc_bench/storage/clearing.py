"""Removing things from a cache: none that a process is making, or is about to read."""

from contextlib import ExitStack
from pathlib import Path

from filelock import FileLock, Timeout

from fpmc_bench.errors import DiskError
from fpmc_bench.storage.inventory import Kept
from fpmc_bench.storage.temporary import written_for

NOTE = ".json"
"""Written without a lock, and in no time."""


def remove(thing: Kept) -> int | None:
    """Remove a thing with its locks; returns the bytes that it took, None where it is in use.

    Who has mapped its files on this machine keeps them; who wants it next makes it anew. DiskError
    where it can't be removed.
    """
    locks = _locks(thing)
    files = [one for one in thing.files if one.path not in locks and not _is_being_noted(one.path)]
    try:
        with ExitStack() as held:
            for lock in sorted(locks):
                held.enter_context(FileLock(lock, timeout=0))
            for file in files:
                file.path.unlink(missing_ok=True)
            for lock in locks:  # who waits for it notices, and asks for a new one
                lock.unlink(missing_ok=True)
    except Timeout:
        return None
    except OSError as error:
        raise DiskError(f"{thing} can't be removed ({error.strerror or error})") from error
    return sum(file.bytes for file in files)


def in_use(thing: Kept) -> bool:
    """Whether a process holds one of its locks at this moment."""
    try:
        with ExitStack() as held:
            for lock in sorted(file.path for file in thing.files if file.is_lock):
                held.enter_context(FileLock(lock, timeout=0))
    except (Timeout, OSError):
        return True
    return False


def _locks(thing: Kept) -> set[Path]:
    """Of its files, also where none has been made yet."""
    content = {file.path for file in thing.content if file.path.suffix != NOTE}
    there = {file.path for file in thing.files if file.is_lock}
    return there | {path.with_suffix(".lock") for path in content}


def _is_being_noted(path: Path) -> bool:
    return (written_for(path.name) or "").endswith(NOTE)
