"""What a stranger's code prints goes to a file of its row: not into tables and progress bars.

`print` and warnings; and in a process of a launcher also what compiled code, and programs that it
calls, write to descriptors 1 and 2. What fpmc_bench itself has to say is said as ever.
"""

import io
import logging
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout, suppress
from pathlib import Path
from typing import Any, TextIO

from fpmc_bench.errors import DiskError
from fpmc_bench.launched import is_ours
from fpmc_bench.telling.lines import stderr_lent_to, users_stderr

MOST_BYTES = 10 * 2**20
"""Of one file."""
STOPPED = b"\n[what follows is left out: this is 10 MiB]\n"


def log_of(run_dir: Path, row: str) -> Path:
    """Where the prints of a row are, if it has printed anything."""
    return run_dir / "logs" / f"{row}.log"


def remove_empty(run_dir: Path) -> None:
    """Logs of rows that have printed nothing."""
    folder = run_dir / "logs"
    for path in folder.glob("*.log"):
        if path.stat().st_size == 0:
            path.unlink()
    with suppress(OSError):  # it has others, or is not there
        folder.rmdir()


@contextmanager
def printed_into(path: Path | None) -> Iterator[None]:
    """Append whatever is printed within the block to a file; None: it is printed as ever.

    Several processes may append to one, line by line. It begins anew where it was full already.
    DiskError where there can be none.
    """
    if path is None:
        yield
        return
    try:
        path.parent.mkdir(exist_ok=True)
        file = os.open(path, os.O_CREAT | os.O_RDWR | os.O_APPEND, 0o666)
    except OSError as error:
        raise DiskError(
            f"{path}, where prints go, can't be written ({error.strerror}); make room, or choose "
            f"another folder"
        ) from error
    try:
        if os.fstat(file).st_size >= MOST_BYTES:
            os.ftruncate(file, 0)
        raw = io.BufferedWriter(_Bounded(file))
        stream = io.TextIOWrapper(raw, "utf-8", "backslashreplace", line_buffering=True)
        with (
            _own_warnings(),
            _descriptors(file),
            redirect_stdout(stream),
            _debugger_at(users_stderr()),
            stderr_lent_to(stream),
        ):
            try:
                yield
            finally:
                with suppress(ValueError):  # whoever printed has closed it
                    stream.flush()
        if os.fstat(file).st_size > MOST_BYTES + len(STOPPED):
            os.ftruncate(file, MOST_BYTES)
            os.write(file, STOPPED)
    finally:
        os.close(file)


@contextmanager
def _debugger_at(terminal: TextIO) -> Iterator[None]:
    """Have `breakpoint()` ask there, unless nobody could answer or PYTHONBREAKPOINT says what."""
    before = sys.breakpointhook

    def ask() -> None:
        from pdb import Pdb

        Pdb(stdout=terminal, nosigint=True).set_trace(sys._getframe().f_back)

    if not is_ours() and "PYTHONBREAKPOINT" not in os.environ and before is sys.__breakpointhook__:
        sys.breakpointhook = ask
    try:
        yield
    finally:
        sys.breakpointhook = before


class _Bounded(io.RawIOBase):
    """Appends to a descriptor as long as there is room; what can't be written is nobody's fault."""

    def __init__(self, file: int) -> None:
        self._file = file
        self._left = MOST_BYTES - os.fstat(file).st_size

    def writable(self) -> bool:
        return True

    def fileno(self) -> int:
        return self._file

    def write(self, content: Any) -> int:
        if self._left > 0:
            with suppress(OSError):
                os.write(self._file, bytes(content)[: self._left])
                self._left -= len(content)
                if self._left <= 0:
                    os.write(self._file, STOPPED)
        return len(content)


@contextmanager
def _own_warnings() -> Iterator[None]:
    """Those of our loggers go where stderr leads now, where nobody has asked for them elsewhere."""
    if logging.getLogger().handlers:
        yield
        return
    ours, handler = logging.getLogger("fpmc_bench"), logging.StreamHandler(sys.stderr)
    handler.setLevel(logging.WARNING)
    ours.addHandler(handler)
    try:
        yield
    finally:
        ours.removeHandler(handler)


@contextmanager
def _descriptors(file: int) -> Iterator[None]:
    """1 and 2 lead to the file, if they are nobody's: Python's own streams are on others.

    Afterwards they are what they were, also where they have been closed.
    """
    if not _aside:
        yield
        return
    before = os.dup(1), os.dup(2)
    try:
        os.dup2(file, 1)
        os.dup2(file, 2)
        yield
    finally:
        for number, was in enumerate(before, 1):
            os.dup2(was, number)
            os.close(was)


_aside: list[int] = []
"""The descriptor that Python's stderr is on, once it was moved away from 2."""


def move_stderr_aside() -> None:
    """Python's stderr on a descriptor of its own: 2 is that of compiled code alone, from here on.

    For a process of a launcher, first of all: whoever holds `sys.stderr` already keeps the old one.
    """
    if not _aside:
        _aside.append(os.dup(2))
        sys.stderr = os.fdopen(
            _aside[0], "w", encoding=sys.stderr.encoding, errors=sys.stderr.errors, buffering=1
        )
