"""Files that appear whole or not at all."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def atomic_path(path: Path, ending: str = ".partial") -> Iterator[Path]:
    """Where to write what is to be at `path`: renamed to it at the end, removed after an error.

    Makes the folders above. `ending` is for what writes only files of its own ending, and must be
    none that is looked for beside `path`.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.{os.getpid()}{ending}")
    try:
        yield partial
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


def write_atomically(path: Path, content: bytes) -> None:
    """Put `content` at `path` by renaming a finished file: a reader sees all of it or nothing.

    Makes the folders above it. Raises OSError where it can't be written.
    """
    with atomic_path(path) as partial:
        partial.write_bytes(content)
