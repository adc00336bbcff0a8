"""Fitted tensors, kept on disk by the content of everything they depend on.

The key must name every input (fingerprints, parameters, a version of the computation); a changed
input is then another file, and nothing stale is ever read. What is read is what was written under
that name (`kept`). FPMC_BENCH_CACHE moves the folder.
"""

import os
from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path
from typing import Any

import platformdirs
from filelock import FileLock
from torch import Tensor

from fpmc_bench.storage.folders import make_folder
from fpmc_bench.storage.kept import keep_tensors, kept_tensors
from fpmc_bench.storage.keys import content_key
from fpmc_bench.storage.temporary import remove_forgotten

ENVIRONMENT_VARIABLE = "FPMC_BENCH_CACHE"


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


@cache
def _tidy(folder: Path) -> None:
    """Once a process."""
    remove_forgotten(folder)


def cached_path(kind: str, key: Mapping[str, Any], suffix: str) -> Path:
    """The file of this (kind, key), in a folder that is there; raises as `cache_folder`."""
    name = content_key({"kind": kind, **key}, letters=32)
    return cache_folder(kind) / f"{name}{suffix}"


def cached_tensors(
    kind: str, key: Mapping[str, Any], compute: Callable[[], Mapping[str, Tensor]]
) -> dict[str, Tensor]:
    """The tensors of this (kind, key) by name, on the CPU: read where known, else computed once.

    They may be of any shapes and types; `key` is plain data, as JSON has it. Of several processes
    that ask at once, one computes and the others wait for its file. A damaged file, or another's,
    is said and computed anew. What is read is mapped from its file. Raises what `compute` does,
    and UsageError where the cache can't be written into.
    """
    path = cached_path(kind, key, ".safetensors")
    with FileLock(path.with_suffix(".lock")):
        if found := kept_tensors(path):
            return found[0]
        tensors = {name: tensor.cpu().contiguous() for name, tensor in compute().items()}
        keep_tensors(path, tensors, {"kind": kind, **key})
        return tensors
