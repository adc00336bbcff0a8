"""What a folder holds, by one rule: links are followed, hidden and system files passed over.

Programs leave copies, thumbnails and notes of their own beside the files that a user means:
`.ipynb_checkpoints`, `.Trash-1000`, `__MACOSX/._a.png`, `Thumbs.db`.
"""

import posixpath
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from fpmc_bench.errors import InputError

SYSTEM_NAMES = frozenset(
    {
        "$recycle.bin",
        "__macosx",
        "@eadir",
        "desktop.ini",
        "lost+found",
        "system volume information",
        "thumbs.db",
    }
)
"""Of files and folders that systems make, without the difference of capitals."""
SHOWN = 5
"""Names in a message that could have many."""


@dataclass(frozen=True)
class Walk:
    """`files` by their names below the folder, with slashes, in the order of names.

    `hidden` are the names that were passed over; a folder among them stands for all it holds.
    """

    files: Mapping[str, Path]
    hidden: tuple[str, ...]


def walk(folder: Path) -> Walk:
    """Everything below a folder; what is neither a file nor a folder is not there.

    InputError for links that lead nowhere or back to a folder that they are in, and for folders
    that can't be read.
    """
    try:
        found, astray = _walked(folder)
    except OSError as error:
        raise InputError(f"{error.filename} can't be read ({error.strerror or error})") from error
    if astray:
        raise InputError(
            f"{folder} has {len(astray)} link(s) that lead nowhere: {shown_names(astray)}; bring "
            f"back what they should lead to, or remove them"
        )
    return found


def _walked(folder: Path) -> tuple[Walk, list[str]]:
    """What is there, and the names of links that lead nowhere."""
    files: dict[str, Path] = {}
    hidden: list[str] = []
    astray: list[str] = []
    waiting: list[tuple[str, Path, frozenset[tuple[int, int]]]]
    waiting = [("", folder, frozenset({_identity(folder)}))]
    while waiting:
        above, here, ancestors = waiting.pop()
        for path in here.iterdir():
            name = f"{above}{path.name}"
            if hidden_part(path.name) is not None:
                hidden.append(name)
            elif path.is_dir():
                if (identity := _identity(path)) in ancestors:
                    raise InputError(f"{path} links back to a folder that it is in; remove it")
                waiting.append((f"{name}/", path, ancestors | {identity}))
            elif path.is_file():
                files[name] = path
            elif path.is_symlink():
                astray.append(name)
    return Walk(dict(sorted(files.items())), tuple(sorted(hidden))), astray


def tidy_name(name: str) -> str:
    """Spelled as `walk` does: with slashes, which some programs of Windows turn round in archives.

    And without parts that say nothing ("./a//b" is "a/b"); parts ".." must not be in it.
    """
    return posixpath.normpath(name.replace("\\", "/"))


def hidden_part(name: str) -> str | None:
    """A name up to its first part that is hidden or a system's; None where none is."""
    parts = name.split("/")
    for depth, part in enumerate(parts, 1):
        if part.startswith(".") or part.casefold() in SYSTEM_NAMES:
            return "/".join(parts[:depth])
    return None


def shown_names(names: Sequence[str]) -> str:
    """The first few in order, and how many more there are."""
    more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    return ", ".join(sorted(names)[:SHOWN]) + more


def _identity(folder: Path) -> tuple[int, int]:
    found = folder.stat()
    return found.st_dev, found.st_ino
