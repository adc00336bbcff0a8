"""Images that are computed: made once for each content, in blocks, and mapped from a file.

Processes that want the same images at the same time share the blocks between them; what a killed
process has finished is not made again.
"""

import os
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from filelock import FileLock, Timeout
from torch import Tensor
from tqdm import tqdm

from fpmc_bench.storage.atomic import atomic_path
from fpmc_bench.storage.cache import cached_path

WAIT_SECONDS = 0.2
"""Between two looks at whether another process has finished its block."""


def made_images(
    kind: str,
    key: Mapping[str, Any],
    images: int,
    make: Callable[[range], Tensor],
    *,
    block_images: int,
) -> Tensor:
    """The first `images` of this (kind, key), [N,C,H,W] as `make` gives them for a range of rows.

    The key must name everything that a row depends on; a later call for more rows makes only
    those, in blocks from where the last one ended. Where a row depends on the others of its block
    always ask for whole blocks. Mapped from a file: writing to the images would change this
    process's copy. Raises what `make` raises, after which other blocks are still there.
    """
    whole = cached_path(kind, key, ".npy")
    while (there := _count(whole)) < images:
        starts = range(there, images, block_images)
        blocks = [range(start, min(start + block_images, images)) for start in starts]
        parts = {whole.with_suffix(f".{b.start}-{b.stop}.npy"): b for b in blocks}
        _make_blocks(kind, whole, there, parts, make)
        with FileLock(whole.with_suffix(".lock")):
            if _count(whole) == there:
                _append(whole, parts)
    return torch.from_numpy(np.load(whole, mmap_mode="c"))[:images]


def _count(whole: Path) -> int:
    """Of the images that are in the file; 0 where there is none."""
    return len(np.load(whole, mmap_mode="r")) if whole.exists() else 0


def _make_blocks(
    kind: str,
    whole: Path,
    there: int,
    parts: Mapping[Path, range],
    make: Callable[[range], Tensor],
) -> None:
    """Return once all blocks are there, or others have joined some to the `there` of the file.

    What they have joined may be less than what is wanted here: then there is another plan to make.
    """
    paths = list(parts)
    # each process begins elsewhere, so that they seldom want the same block
    first = os.getpid() % len(paths)
    hidden = True if os.environ.get("RANK", "0") != "0" else None
    with tqdm(total=len(parts), desc=kind, unit="block", disable=hidden, leave=False) as bar:
        while _count(whole) == there:
            missing = [path for path in paths[first:] + paths[:first] if not path.exists()]
            bar.update(len(paths) - len(missing) - bar.n)
            if not missing:
                return
            if not any(_make_block(path, whole, parts[path], make) for path in missing):
                time.sleep(WAIT_SECONDS)


def _make_block(path: Path, whole: Path, rows: range, make: Callable[[range], Tensor]) -> bool:
    """Whether there was something left for this process to do."""
    try:
        with FileLock(path.with_suffix(".lock"), timeout=0):
            if path.exists() or _count(whole) >= rows.stop:
                return False
            with atomic_path(path, ".partial.npy") as partial:
                np.save(partial, make(rows).cpu().numpy())
            return True
    except Timeout:
        return False


def _append(whole: Path, parts: Mapping[Path, range]) -> None:
    """A new file in place of the old one, which those who have mapped it keep."""
    there = _count(whole)
    first = np.load(next(iter(parts)), mmap_mode="r")
    images = max(rows.stop for rows in parts.values())
    with atomic_path(whole) as partial:
        array = np.lib.format.open_memmap(
            partial, mode="w+", dtype=first.dtype, shape=(images, *first.shape[1:])
        )
        if there:
            array[:there] = np.load(whole, mmap_mode="r")
        for path, rows in parts.items():
            array[rows.start : rows.stop] = np.load(path, mmap_mode="r")
        array.flush()
    for path in parts:
        path.unlink(missing_ok=True)
        path.with_suffix(".lock").unlink(missing_ok=True)
