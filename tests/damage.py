"""What happens to files: cut short, emptied, a bit turned, two of them swapped, a full disk."""

import resource
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path


def truncated(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def emptied(path: Path) -> None:
    """As a power cut leaves it where a name reached the disk before the content."""
    path.write_bytes(b"")


def turned(path: Path, place: float = 0.5, bit: int = 6) -> None:
    """One bit of the byte at this part of the file."""
    content = bytearray(path.read_bytes())
    content[int(place * len(content))] ^= 1 << bit
    path.write_bytes(content)


def swapped(one: Path, other: Path) -> None:
    first, second = one.read_bytes(), other.read_bytes()
    one.write_bytes(second)
    other.write_bytes(first)


DAMAGES: tuple[Callable[[Path], None], ...] = (truncated, emptied, turned)


@contextmanager
def full_disk(most_bytes: int) -> Iterator[None]:
    """No file of this process grows beyond so many bytes: refused as a full disk refuses."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (most_bytes, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
