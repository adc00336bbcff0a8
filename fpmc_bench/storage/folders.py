"""Folders that commands write into: made at the door, held by one of them at a time."""

import json
import logging
import os
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from fpmc_bench.errors import RunError, UsageError
from fpmc_bench.launched import is_elastic, is_ours
from fpmc_bench.storage.keys import content_key
from fpmc_bench.storage.notations import parsed_json, short_json
from fpmc_bench.storage.temporary import DEEPEST, remove_forgotten

LOCK = ".lock"
GLANCE_SECONDS = 0.5
"""For whoever only looks whether a folder is held, and holds it for that long."""

log = logging.getLogger(__name__)
DIGEST = "digest"
"""The field of a manifest that is the key of all others."""
ENDING_SECONDS = 10
"""Until a process that was told to stop has ended, at the latest."""
BLOCK_BYTES = 4096
"""What is written as a trial: a full disk may still have room for the name of an empty file."""


def refuse_unwritable(folder: Path, chosen_by: str) -> None:
    """UsageError where nothing can be written into a folder, or into the one it is to be made in.

    `chosen_by` says how another is chosen, as --out or FPMC_BENCH_CACHE.
    """
    # not Path.exists, which raises where a folder above may not be looked into
    there = next(one for one in (folder, *folder.parents) if os.path.exists(one))  # noqa: PTH110
    try:
        with tempfile.TemporaryFile(dir=there) as file:
            file.write(bytes(BLOCK_BYTES))
            file.flush()
    except OSError as error:
        raise UsageError(
            f"can't write into {folder}: {error.strerror or error}; make room or give yourself "
            f"permission, or choose another folder by {chosen_by}"
        ) from error


def make_folder(folder: Path, chosen_by: str) -> None:
    """With all above it; UsageError as `refuse_unwritable`."""
    refuse_unwritable(folder, chosen_by)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UsageError(
            f"can't make {folder}: {error.strerror or error}; choose another folder by {chosen_by}"
        ) from error


@contextmanager
def locked(folder: Path, work: str, option: str) -> Iterator[None]:
    """Hold a folder for one `work`, as "run"; RunError where it is held already.

    `option` is that of the command line which chooses the folder. Under torchrun one that held it
    may still be ending, on another machine, and is waited for. What processes that are gone have
    left unfinished in it is removed. UsageError where nothing can be written into it.
    """
    make_folder(folder, option)
    elsewhere = is_elastic() and not is_ours()  # our launcher has seen its processes end
    lock = FileLock(folder / LOCK, timeout=ENDING_SECONDS if elsewhere else GLANCE_SECONDS)
    try:
        lock.acquire()
    except Timeout as error:
        raise RunError(
            f"{folder} is in use by another {work}; wait for it, or choose another {option}"
        ) from error
    try:
        remove_forgotten(folder, DEEPEST)
        yield
    finally:
        lock.release()


def manifest_bytes(content: Mapping[str, Any]) -> bytes:
    """What a folder is for, plain data, as JSON with a digest: a turned bit is no other folder."""
    stated = {name: value for name, value in content.items() if name != DIGEST}
    return (json.dumps({**stated, DIGEST: content_key(stated)}, indent=2) + "\n").encode()


def is_held(folder: Path) -> bool | None:
    """Whether a command holds the folder now, on whatever machine that sees it.

    None where that can't be told: who may not write to the lock may not try it.
    """
    path = folder / LOCK
    if not path.is_file():
        return False
    try:
        with FileLock(path, timeout=0):
            return False
    except Timeout:
        return True
    except OSError:
        return None


def read_manifest(path: Path, **fields: type) -> dict[str, Any] | None:
    """What a folder is for: a JSON object with fields of these types; None where there is no file.

    None too for one that is damaged, once a line of the log has said that it is written anew: what
    lies beside it is kept by names of its own. One without a digest is of an earlier version.
    """
    try:
        content = parsed_json(path.read_bytes())
        if not isinstance(content, dict):
            raise ValueError("it is no JSON object")
        if content.pop(DIGEST, None) not in (None, content_key(content)):
            raise ValueError("it does not have the digest that it states")
        for name, kind in fields.items():
            if not isinstance(content.get(name), kind):
                raise ValueError(f"it lacks {name}")
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        log.warning(
            "%s is damaged (%s): it is written anew, what is beside it is kept", path, error
        )
        return None
    return content


def differences(there: Mapping[str, Any], asked: Mapping[str, Any]) -> str:
    """What of plain data is asked for otherwise than it is there; empty where nothing is."""
    changed = [key for key, value in asked.items() if there.get(key) != value]
    return "; ".join(
        f"{key} {short_json(there.get(key))}, now {short_json(asked[key])}" for key in changed
    )
