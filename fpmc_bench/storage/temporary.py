"""Names of files that are there only while they are written, and what becomes of forgotten ones.

A name holds host, process and a random part: processes of one machine, or of several on one file
system, never write into each other's. Who was killed leaves his behind: whoever opens the folder
next removes it, at once where that process was one of this machine and is gone, else when nobody
has written to it for a day.
"""

import hashlib
import logging
import os
import platform
import re
import secrets
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import cache, partial
from pathlib import Path

import psutil

from fpmc_bench.interruptions import at_any_end

PARTIAL = ".partial"
NAME_BYTES, HOST_LETTERS = 100, 24
"""Of a file's and a host's own name in a temporary one, which must stay below 255 bytes."""
ANOTHERS_SECONDS = 24 * 60 * 60
"""Since a file of another machine was last written to, until it counts as forgotten."""
DEEPEST = 3
"""Folders of a run directory or a study in one another."""
NAMED = re.compile(
    r"\.(?P<name>.+)\.(?P<host>[A-Za-z0-9-]+)\.(?P<process>\d{1,10})\.[0-9a-f]{8}\.partial(\.\w+)?",
    re.DOTALL,
)
"""As `temporary_path` makes them."""

log = logging.getLogger(__name__)


def temporary_path(path: Path, ending: str = PARTIAL) -> Path:
    """A hidden name of its own beside `path`, for what is to be renamed to it.

    `ending` begins with .partial, and must make it none that is looked for there.
    """
    name = os.fsencode(path.name)[:NAME_BYTES].decode(errors="ignore")
    own = f"{this_host()}.{os.getpid()}.{secrets.token_hex(4)}"
    return path.with_name(f".{name}.{own}{ending}")


def written_for(name: str) -> str | None:
    """The name that a file of such a name is to have; None for one that is no temporary name."""
    found = NAMED.fullmatch(name)
    return found["name"] if found else None


@contextmanager
def temporary_folder() -> Iterator[Path]:
    """One of the system's, for this block; gone at any end of this process but SIGKILL."""
    folder = Path(tempfile.mkdtemp(prefix="fpmc-bench-"))
    with at_any_end(partial(shutil.rmtree, folder, ignore_errors=True)):
        yield folder


@cache
def this_host() -> str:
    """Where process ids mean the same: letters, digits and hyphens.

    Containers of one machine may share its name but not its processes, and after it has booted ids
    begin anew; so the name is followed by a hash of both, where the system tells them.
    """
    node = platform.node()
    facts = [node]
    with suppress(OSError):
        facts.append(Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii"))
        facts.append(str(Path("/proc/self/ns/pid").readlink()))
    plain = re.sub(r"[^A-Za-z0-9]+", "-", node).strip("-")[:HOST_LETTERS] or "host"
    return f"{plain}-{hashlib.sha256(repr(facts).encode()).hexdigest()[:8]}"


def remove_forgotten(folder: Path, deepest: int = 0) -> None:
    """Remove what processes that are gone have left unfinished in a folder, and so far below it.

    Looks at every name there, so only when a folder is opened. What can't be removed stays.
    """
    with suppress(OSError), os.scandir(folder) as entries:
        for entry in entries:
            if entry.name.startswith(".") and _forgotten(entry):
                _remove(entry)
            elif deepest and entry.is_dir(follow_symlinks=False):
                remove_forgotten(Path(entry.path), deepest - 1)


def _forgotten(entry: os.DirEntry[str]) -> bool:
    found = NAMED.fullmatch(entry.name)
    if found is None:
        return False
    if found["host"] == this_host() and _gone(int(found["process"])):
        return True
    with suppress(OSError):  # it may just have been finished
        return time.time() - entry.stat(follow_symlinks=False).st_mtime > ANOTHERS_SECONDS
    return False


def _gone(process: int) -> bool:
    """Whether there is no such process on this machine, of whatever user.

    Asked of the kernel: where /proc shows a user only his own, psutil finds no others.
    """
    if os.name != "posix":
        return not psutil.pid_exists(process)
    try:
        os.kill(process, 0)
    except (ProcessLookupError, OverflowError):
        return True
    except OSError:  # it is another's
        return False
    return False


def _remove(entry: os.DirEntry[str]) -> None:
    log.info("%s was left unfinished by a process that is gone; it is removed", entry.path)
    if entry.is_dir(follow_symlinks=False):
        shutil.rmtree(entry.path, ignore_errors=True)
        return
    with suppress(OSError):
        Path(entry.path).unlink()
