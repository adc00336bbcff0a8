"""The content of a file or a folder as a key, remembered so that it is not read every time.

What is remembered holds for a path as long as size, time of change and inode of its files are the
same. A file changed in place within the clock's resolution, its size kept, would go unnoticed.
"""

import hashlib
import os
from pathlib import Path

from fpmc_bench.errors import InputError
from fpmc_bench.storage.atomic import write_atomically
from fpmc_bench.storage.cache import cache_directory
from fpmc_bench.storage.keys import content_key
from fpmc_bench.storage.walking import walk

CHUNK_BYTES = 2**22


def file_fingerprint(path: Path) -> str:
    """sha256 over the content of a file, or over names and contents of all files of a folder.

    Those that are hidden or a system's don't count, and links count as what they lead to.
    InputError where one can't be read, or leads nowhere.
    """
    files = [("", path)] if path.is_file() else list(walk(path).files.items())
    try:
        states = [[name, *_state(file)] for name, file in files]
        state = content_key([str(path.resolve()), states], letters=32)
        known = cache_directory() / "images" / "known" / state
        if known.is_file():
            return known.read_text(encoding="ascii")
        key = _digest(files)
    except OSError as error:
        raise InputError(f"{error.filename or path} can't be read ({error.strerror})") from error
    write_atomically(known, key.encode("ascii"))
    return key


def _state(path: Path) -> tuple[int, int, int]:
    found = path.stat()
    return found.st_size, found.st_mtime_ns, found.st_ino


def _digest(files: list[tuple[str, Path]]) -> str:
    digest = hashlib.sha256()
    for name, file in files:
        digest.update(os.fsencode(f"{name}\0{file.stat().st_size}\0"))
        with file.open("rb") as content:
            while chunk := content.read(CHUNK_BYTES):
                digest.update(chunk)
    return digest.hexdigest()
