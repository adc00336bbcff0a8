"""Fitted tensors, kept on disk by the content of everything they depend on.

The key must name every input (fingerprints, parameters, a version of the computation); a changed
input is then another file, and nothing stale is ever read. FPMC_BENCH_CACHE moves the folder.
"""

import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import platformdirs
from filelock import FileLock
from torch import Tensor

from fpmc_bench.errors import CheckpointError
from fpmc_bench.storage.keys import content_key
from fpmc_bench.storage.tensors import load_tensors, save_tensors

ENVIRONMENT_VARIABLE = "FPMC_BENCH_CACHE"


def cache_directory() -> Path:
    """$FPMC_BENCH_CACHE, or the user's cache folder."""
    chosen = os.environ.get(ENVIRONMENT_VARIABLE)
    return Path(chosen) if chosen else Path(platformdirs.user_cache_dir("fpmc-bench"))


def cached_path(kind: str, key: Mapping[str, Any], suffix: str) -> Path:
    """The file of this (kind, key), in a folder that is there."""
    folder = cache_directory() / kind
    folder.mkdir(parents=True, exist_ok=True)
    return folder / f"{content_key({'kind': kind, **key}, letters=32)}{suffix}"


def cached_tensors(
    kind: str, key: Mapping[str, Any], compute: Callable[[], Mapping[str, Tensor]]
) -> dict[str, Tensor]:
    """The tensors of this (kind, key) by name, on the CPU: read where known, else computed once.

    They may be of any shapes and types; `key` is plain data, as JSON has it. Of several processes
    that ask at once, one computes and the others wait for its file. A damaged file is computed
    anew. What is read is mapped from its file. Raises what `compute` does.
    """
    path = cached_path(kind, key, ".safetensors")
    with FileLock(path.with_suffix(".lock")):
        try:
            return load_tensors(path)[0]
        except CheckpointError:
            tensors = {name: tensor.cpu().contiguous() for name, tensor in compute().items()}
            save_tensors(path, tensors, {"kind": kind, **key})
            return tensors
