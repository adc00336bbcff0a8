"""What lies in a cache: each thing with its files, its size, and what it was made from.

A thing is what has one name in one folder: its file, parts of it that are not joined yet, its lock.
Only what has a name that caches give, or says inside that it is of its name, is a thing; all else
is somebody's, and is counted but never touched. Links are not followed.
"""

import os
import re
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import safe_open

from fpmc_bench.errors import FpmcBenchError
from fpmc_bench.storage.kept import read_card, read_kept
from fpmc_bench.storage.mapped import read_seal, refuse_damaged
from fpmc_bench.storage.notations import short_json
from fpmc_bench.storage.notes import read_note
from fpmc_bench.storage.temporary import written_for

LOCK, UNFINISHED, CONTENT = "lock", "unfinished", ("safetensors", "npy", "json")
FILE = re.compile(r"(?P<name>[\w-]+)(\.\d+-\d+)?\.(?P<ending>safetensors|npy|json|lock)")
OURS = re.compile(r"[0-9a-f]{24}[\w-]*", re.ASCII)
"""Names that are keys, or begin with one."""


@dataclass(frozen=True)
class KeptFile:
    """One of a thing: by its `ending` its content, its lock, or `UNFINISHED`."""

    path: Path
    ending: str
    bytes: int
    changed: float
    """In seconds since 1970; so is `read`."""
    read: float

    @property
    def is_lock(self) -> bool:
        return self.ending == LOCK

    @property
    def is_content(self) -> bool:
        return self.ending in CONTENT

    def card(self) -> dict[str, Any]:
        """What it says that it was made from; {} where it does not.

        ValueError, OSError or CheckpointError for what was not written under its name.
        """
        if self.ending == "npy":
            return read_seal(self.path) or {}
        return read_note(self.path)[1] if self.ending == "json" else read_card(self.path)

    def refuse_damaged(self) -> None:
        """Read all of it; raises as `card` where it is not what was written under its name."""
        if self.ending == "npy":
            refuse_damaged(self.path)
        elif self.ending == "json":
            read_note(self.path)
        else:
            read_kept(self.path)

    def holds(self) -> list[str]:
        """What is in it, a line each; raises as `card`."""
        if self.ending == "npy":
            array = np.load(self.path, mmap_mode="r")
            return [f"{list(array.shape)} {array.dtype}"]
        if self.ending == "json":
            return [short_json(read_note(self.path)[0])]
        with safe_open(self.path, framework="np") as file:
            parts = [(name, file.get_slice(name)) for name in sorted(file.keys())]
            return [f"{name} {part.get_shape()} {part.get_dtype()}" for name, part in parts]


@dataclass(frozen=True)
class Kept:
    """What is kept under one `name`, of one `kind`: its folder's path below that of the cache."""

    kind: str
    name: str
    files: tuple[KeptFile, ...]

    def __str__(self) -> str:
        return f"{self.kind}/{self.name}"

    @property
    def content(self) -> tuple[KeptFile, ...]:
        return tuple(file for file in self.files if file.is_content)

    @property
    def bytes(self) -> int:
        return sum(file.bytes for file in self.files)

    @property
    def made(self) -> float:
        """When the last of it was written, in seconds since 1970."""
        return max(file.changed for file in self.content or self.files)

    @property
    def used(self) -> float:
        """When it was last wanted, as far as the disk knows; made, at least."""
        return max(self.made, *(file.read for file in self.content or self.files))

    def card(self) -> dict[str, Any]:
        """What it says that it was made from; {} where it does not, or can't."""
        for file in self.content:
            if card := _card(file):
                return card
        return {}

    def faults(self) -> tuple[str, ...]:
        """What is wrong with its content, all of which is read; a sentence for a file."""
        faults = []
        for file in self.content:
            try:
                file.refuse_damaged()
            except FpmcBenchError as error:
                faults.append(str(error))
            except (OSError, ValueError) as error:
                faults.append(f"{file.path} is damaged ({error})")
        return tuple(faults)


@dataclass(frozen=True)
class Inventory:
    """All that lies below a cache's folder.

    `others` are files that are none of the things, `unseen` links and closed folders.
    """

    folder: Path
    things: tuple[Kept, ...] = ()
    others: tuple[KeptFile, ...] = ()
    unseen: tuple[str, ...] = ()

    @property
    def kinds(self) -> dict[str, list[Kept]]:
        """The things of each kind, in order."""
        kinds: dict[str, list[Kept]] = {}
        for thing in self.things:
            kinds.setdefault(thing.kind, []).append(thing)
        return kinds


def inventory(folder: Path) -> Inventory:
    """Of the cache in this folder; empty where there is none."""
    things: list[Kept] = []
    others: list[KeptFile] = []
    unseen: list[str] = []

    def closed(error: OSError) -> None:
        if not isinstance(error, FileNotFoundError):
            unseen.append(f"{error.filename} can't be looked into ({error.strerror})")

    for here, folders, names in os.walk(folder, onerror=closed):
        links = [Path(here, name) for name in folders if Path(here, name).is_symlink()]
        unseen += [f"{link} is a link, which is not followed" for link in links]
        kind = Path(here).relative_to(folder).as_posix()
        named: dict[str, list[KeptFile]] = {}
        for name, file in _files(Path(here), names):
            named.setdefault(name, []).append(file)
        for name, files in named.items():
            ours = name and kind != "." and (OURS.fullmatch(name) or any(map(_card, files)))
            if ours:
                things.append(Kept(kind, name, tuple(files)))
            else:
                others += files
    things.sort(key=lambda thing: (thing.kind, thing.name))
    return Inventory(folder, tuple(things), tuple(others), tuple(unseen))


def _files(folder: Path, names: list[str]) -> Iterator[tuple[str, KeptFile]]:
    """With the name of the thing that each would be of, "" for none."""
    for own in sorted(names):
        try:
            state = (folder / own).lstat()
        except OSError:  # it has gone meanwhile
            continue
        found = FILE.fullmatch(written_for(own) or own) if stat.S_ISREG(state.st_mode) else None
        ending = UNFINISHED if written_for(own) else found["ending"] if found else ""
        path, name = folder / own, found["name"] if found else ""
        yield name, KeptFile(path, ending, state.st_size, state.st_mtime, state.st_atime)


def _card(file: KeptFile) -> dict[str, Any]:
    """{} where it has none, too."""
    try:
        return file.card() if file.is_content else {}
    except (OSError, ValueError, FpmcBenchError):
        return {}
