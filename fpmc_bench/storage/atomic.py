"""Files that appear whole or not at all, and whose content is on the disk before their name is."""

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from fpmc_bench.errors import DiskError
from fpmc_bench.interruptions import at_any_end
from fpmc_bench.storage.temporary import PARTIAL, temporary_path

FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS, errno.EIO}
"""What goes wrong in a file that is open already, whose error then names none."""


@contextmanager
def atomic_path(path: Path, ending: str = PARTIAL) -> Iterator[Path]:
    """Where to write what is to be at `path`: renamed to it at the end, removed after an error.

    Makes the folders above. `ending` is for what writes only files of its own ending, as in
    `temporary_path`. DiskError where it can't be written.
    """
    partial = temporary_path(path, ending)
    with at_any_end(lambda: _removed(partial)), _told(path, partial):
        path.parent.mkdir(parents=True, exist_ok=True)
        yield partial
        # a name that survives a power cut would else be that of an empty file
        _flush(partial, os.O_RDWR)
        partial.replace(path)
        with suppress(OSError):  # not every system can
            _flush(path.parent, os.O_RDONLY)


def write_atomically(path: Path, content: bytes) -> None:
    """Put `content` at `path` by renaming a finished file: a reader sees all of it or nothing.

    Makes the folders above it. DiskError where it can't be written.
    """
    with atomic_path(path) as partial:
        partial.write_bytes(content)


@contextmanager
def _told(path: Path, partial: Path) -> Iterator[None]:
    """DiskError where writing to `partial` fails, which is for `path`."""
    try:
        yield
    except OSError as error:
        ours = Path(str(error.filename)) in (partial, *partial.parents)
        if not ours and (error.filename or error.errno not in FULL):
            raise  # of something else that was read or written meanwhile
        raise DiskError(
            f"{path} can't be written ({error.strerror}), and nothing half-written is left; make "
            f"room, or choose another folder"
        ) from error


def _removed(partial: Path) -> None:
    with suppress(OSError):
        partial.unlink(missing_ok=True)


def _flush(path: Path, flags: int) -> None:
    descriptor = os.open(path, flags)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
