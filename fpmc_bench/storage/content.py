"""The content of a file or a folder as a key, remembered so that it is not read every time.

What is remembered holds for a path as long as size, time of change and inode of its files are the
same. A file changed in place within the clock's resolution, its size kept, would go unnoticed. A
note that is damaged, or another's, is not believed.
"""

import hashlib
import os
from pathlib import Path

from fpmc_bench.errors import InputError
from fpmc_bench.storage.cache import cache_folder, mark_used
from fpmc_bench.storage.keys import content_key
from fpmc_bench.storage.notes import keep_note, kept_note
from fpmc_bench.storage.walking import walk

CHUNK_BYTES = 2**22


def file_fingerprint(path: str | Path) -> str:
    """sha256 over the content of a file, or over names and contents of all files of a folder.

    Those that are hidden or a system's don't count, and links count as what they lead to.
    InputError where one can't be read, or leads nowhere; UsageError where the cache can't be
    written into.
    """
    path, folder = Path(path), cache_folder("images", "known")
    files = [("", path)] if path.is_file() else list(walk(path).files.items())
    try:
        found = [(name, _state(file)) for name, file in files]
        states = [[name, *state] for name, state in found]
        place = str(path.resolve())
        note = folder / f"{content_key([place, states], letters=32)}.json"
        if isinstance(known := kept_note(note), str):
            mark_used(note)
            return known
        key = _digest(files)
    except OSError as error:
        raise InputError(f"{error.filename or path} can't be read ({error.strerror})") from error
    size = sum(state[0] for _, state in found)
    keep_note(note, key, {"path": place, "files": len(files), "bytes": size})
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
