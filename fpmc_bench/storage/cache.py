"""Fitted tensors, kept on disk by the content of everything they depend on.

The key must name every input (fingerprints, parameters, a version of the computation); a changed
input is then another file, and nothing stale is ever read. What is read is what was written under
that name (`kept`). FPMC_BENCH_CACHE moves the folder.
"""

import errno
import os
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from functools import cache
from pathlib import Path
from typing import Any

import platformdirs
from filelock import FileLock
from torch import Tensor

from fpmc_bench.errors import DiskError, UsageError
from fpmc_bench.storage.folders import make_folder
from fpmc_bench.storage.kept import keep_tensors, kept_tensors
from fpmc_bench.storage.keys import content_key
from fpmc_bench.storage.temporary import remove_forgotten

ENVIRONMENT_VARIABLE = "FPMC_BENCH_CACHE"
FILLED = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO}
_seen: ContextVar[dict[Path, bool] | None] = ContextVar("seen", default=None)


def cache_directory() -> Path:
    """$FPMC_BENCH_CACHE, or the user's cache folder."""
    chosen = os.environ.get(ENVIRONMENT_VARIABLE)
    return Path(chosen) if chosen else Path(platformdirs.user_cache_dir("fpmc-bench"))


def cache_folder(*parts: str) -> Path:
    """A folder of the cache, made. UsageError, with how to choose another, where it can't be.

    What processes that are gone have left unfinished there is removed, the first time.
    """
    folder = cache_directory().joinpath(*parts)
    make_folder(folder, ENVIRONMENT_VARIABLE)
    _tidy(folder.absolute())
    return folder


def mark_used(path: Path) -> None:
    """Note on a file of the cache that it was wanted now: the time that it was last read.

    Of itself the disk often notes no such time, or once a day.
    """
    with suppress(OSError):  # another user's
        os.utime(path, ns=(time.time_ns(), path.stat().st_mtime_ns))


@cache
def _tidy(folder: Path) -> None:
    """Once a process."""
    remove_forgotten(folder)


def cached_path(kind: str, key: Mapping[str, Any], suffix: str) -> Path:
    """The file of this (kind, key), in a folder that is there; raises as `cache_folder`.

    But for a disk that has filled up, a DiskError: what is fitted or made comes long after a
    command has tried its cache, and then it is nobody's wrong usage.
    """
    name = content_key({"kind": kind, **key}, letters=32)
    try:
        path = cache_folder(kind) / f"{name}{suffix}"
    except UsageError as error:
        if isinstance(error.__cause__, OSError) and error.__cause__.errno in FILLED:
            raise DiskError(str(error)) from error
        raise
    seen = _seen.get()
    if seen is not None:
        seen.setdefault(path, path.exists())
    return path


@contextmanager
def looked_up() -> Iterator[dict[Path, bool]]:
    """What is looked for inside the block by this thread, and whether it was there at first."""
    seen: dict[Path, bool] = {}
    token = _seen.set(seen)
    try:
        yield seen
    finally:
        _seen.reset(token)


def tensors_path(kind: str, key: Mapping[str, Any]) -> Path:
    """Where `cached_tensors` keeps those of this (kind, key)."""
    return cached_path(kind, key, ".safetensors")


def cached_tensors(
    kind: str, key: Mapping[str, Any], compute: Callable[[], Mapping[str, Tensor]]
) -> dict[str, Tensor]:
    """The tensors of this (kind, key) by name, on the CPU: read where known, else computed once.

    They may be of any shapes and types; `key` is plain data, as JSON has it. Of several processes
    that ask at once, one computes and the others wait for its file. A damaged file, or another's,
    is said and computed anew. What is read is mapped from its file. Raises what `compute` does,
    and UsageError where the cache can't be written into.
    """
    path = tensors_path(kind, key)
    with FileLock(path.with_suffix(".lock")):
        if found := kept_tensors(path):
            mark_used(path)
            return found[0]
        tensors = {name: tensor.cpu().contiguous() for name, tensor in compute().items()}
        keep_tensors(path, tensors, {"kind": kind, **key})
        return tensors
