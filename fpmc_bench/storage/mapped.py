"""Arrays that are mapped from a .npy file, which says behind the array what it is and its checksum.

The checksum is CRC-32, which notices damage as well as a digest does, if not malice, and takes a
tenth of a second for 600 MB where sha256 takes three: every process reads all of a file before it
believes it, once.
"""

import errno
import json
import logging
import os
import zlib
from collections.abc import Mapping
from contextlib import suppress
from functools import lru_cache
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from fpmc_bench.storage.notations import parsed_json

State = tuple[int, int, int]
"""Of a file: its size, its time of change in ns, and its inode."""
Mapped = np.memmap[Any, np.dtype[Any]]

log = logging.getLogger(__name__)
CHUNK_BYTES = 2**22
LENGTH, CHECKSUM = 8, 8
"""Bytes at the end of a file, in hex: the length of the note, and the checksum of all before."""


def reserved_array(path: Path, dtype: DTypeLike, shape: tuple[int, ...]) -> Mapped:
    """A new .npy of this type and any shape, mapped to be written; OSError where the disk is full.

    Its room is taken at once: a mapped page that finds none later ends the process.
    """
    array = np.lib.format.open_memmap(path, mode="w+", dtype=dtype, shape=shape)
    if hasattr(os, "posix_fallocate"):
        with path.open("r+b") as file:
            try:
                os.posix_fallocate(file.fileno(), 0, path.stat().st_size)
            except OSError as error:
                if error.errno not in (errno.EINVAL, errno.EOPNOTSUPP):  # this disk can't
                    raise
    return array


def seal(path: Path, name: str, note: Any = None, card: Mapping[str, Any] | None = None) -> None:
    """Put behind the array of a .npy the name it is to have, a note, a card, and a checksum.

    The note (JSON) is what belongs to the array, the card what it was made from.
    """
    content = json.dumps([name, note, card]).encode()
    with path.open("r+b") as file:
        content += f"{len(content):08x}".encode()
        checksum = zlib.crc32(content, _checksum(file, path.stat().st_size))
        file.write(content + f"{checksum:08x}".encode())


def sealed_array(path: Path) -> tuple[NDArray[Any], Any] | None:
    """The array of any shape and the note of a sealed .npy; None where there is no file.

    None too for a file that is not what was sealed under its name, once a line of the log has said
    so. Pages are read when they are touched; writing to them would change this process's copy.
    """
    while (state := _state(path)) is not None:
        note = _note(path, state)
        with suppress(FileNotFoundError):
            found = None if note is None else (np.load(path, mmap_mode="c"), note[0])
            if _state(path) == state:  # or another process has put a new file there meanwhile
                return found
    return None


def _state(path: Path) -> State | None:
    """None where there is no file."""
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_size, found.st_mtime_ns, found.st_ino


def read_seal(path: Path) -> dict[str, Any] | None:
    """What a file says that it was made from; None where it does not. Reads no more than that.

    OSError, or ValueError where there is no seal, or another name's.
    """
    with path.open("rb") as file:
        _, card = _sealed(file, path.name, path.stat().st_size - CHECKSUM)
    return card if isinstance(card, dict) else None


def refuse_damaged(path: Path) -> None:
    """Read all of a file; OSError, or ValueError where it is not what was sealed under its name."""
    with path.open("rb") as file:
        _checked(file, path.name, path.stat().st_size)


@lru_cache(maxsize=4096)
def _note(path: Path, state: State) -> tuple[Any] | None:
    """Looked for once in every state of the file."""
    try:
        with path.open("rb") as file:
            return None if _state(path) != state else (_checked(file, path.name, state[0]),)
    except (OSError, ValueError) as error:
        log.warning("%s is damaged, or of an earlier version (%s); it is made anew", path, error)
        return None


def _checked(file: IO[bytes], expected: str, size: int) -> Any:
    """The note of a file of this size; ValueError where it is not what was sealed by that name."""
    covered = size - CHECKSUM
    if covered < LENGTH:
        raise ValueError("it is cut short")
    checksum = f"{_checksum(file, covered):08x}".encode()
    if file.read(CHECKSUM) != checksum:
        raise ValueError("its content is not what was written there")
    return _sealed(file, expected, covered)[0]


def _sealed(file: IO[bytes], expected: str, covered: int) -> tuple[Any, Any]:
    """Note and card, which are the last of the bytes that the checksum is of; ValueError for none.

    And where they are of a file of another name than `expected`.
    """
    file.seek(max(0, covered - LENGTH))
    length = int(file.read(LENGTH), 16)
    if not 0 <= length <= covered - LENGTH:
        raise ValueError("it has no note of what it is")
    file.seek(covered - LENGTH - length)
    found = parsed_json(file.read(length))
    if not isinstance(found, list):
        raise ValueError("it has no note of what it is")
    name, note, *card = found  # files of before there were cards have none
    if name != expected:
        raise ValueError(f"it was written as {name}")
    return note, card[0] if card else None


def _checksum(file: IO[bytes], size: int) -> int:
    """Of the next `size` bytes; reads no further."""
    checksum = 0
    while chunk := file.read(min(CHUNK_BYTES, size)):
        checksum, size = zlib.crc32(chunk, checksum), size - len(chunk)
    return checksum
