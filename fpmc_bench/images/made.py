"""Images that are computed: made once for each content, in blocks, and mapped from a file.

Processes that want the same images at the same time share the blocks between them (those of a run
by `blocks_taken_by`, others as they come), also where some have another cache: then they stop where
they need what others have. What a killed process has finished is not made again. A
file says what it holds, and is believed for its checksum (`storage.mapped`): one that is damaged,
or another's, is said and made again.
"""

import time
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from filelock import FileLock, Timeout
from numpy.typing import NDArray
from torch import Tensor

from fpmc_bench.launched import is_main
from fpmc_bench.storage.atomic import atomic_path
from fpmc_bench.storage.cache import cached_path, mark_used
from fpmc_bench.storage.mapped import reserved_array, seal, sealed_array
from fpmc_bench.telling.bars import Bar

WAIT_SECONDS = 0.2
"""Between two looks at whether another process has finished its block."""


Take = Callable[[str, int], Iterable[int]]
"""By a name, indices of so many blocks, each for one process of several that call it alike."""


def _all(name: str, count: int) -> Iterable[int]:
    return range(count)


class ElsewhereError(Exception):
    """Another cache may have files, or is to have them soon: how many images each should hold."""

    def __init__(self, wanted: Mapping[Path, int]) -> None:
        super().__init__(f"{len(wanted)} files of images are made elsewhere")
        self.wanted = wanted


@dataclass(frozen=True)
class _Together:
    """How the processes of a run make images: who which block, and what they sent each other."""

    take: Take = _all
    sent: Collection[Path] | None = None

    def ask(self, wanted: Mapping[Path, int]) -> None:
        """ElsewhereError for files that were not sent yet, where there is another cache."""
        if self.sent is not None and (new := wanted.keys() - set(self.sent)):
            raise ElsewhereError({path: wanted[path] for path in new})


_ALONE = _Together()
_together: ContextVar[_Together] = ContextVar("together", default=_ALONE)


@contextmanager
def blocks_taken_by(take: Take, sent: Collection[Path] | None = None) -> Iterator[None]:
    """Within the block all processes of a run make the same images, each the blocks it takes.

    Where not all see one cache, `sent` are files that were sent to this one from wherever they
    were: then `made_images` raises an ElsewhereError that names others, and is to be called again.
    """
    token = _together.set(_Together(take, sent))
    try:
        yield
    finally:
        _together.reset(token)


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
    process's copy. Raises what `make` raises, after which other blocks are still there; UsageError
    where the cache can't be written into, DiskError where the disk is full.
    """
    whole, card = cached_path(kind, key, ".npy"), {"kind": kind, **key}
    if images_in(whole) < images:
        _together.get().ask({whole: images})
    while (found := _images(whole)) is None or len(found) < images:
        there = 0 if found is None else len(found)
        starts = range(there, images, block_images)
        blocks = [range(start, min(start + block_images, images)) for start in starts]
        parts = {whole.with_suffix(f".{b.start}-{b.stop}.npy"): b for b in blocks}
        _make_blocks(card, whole, there, parts, make)
        with FileLock(whole.with_suffix(".lock")):
            if images_in(whole) == there:
                _append(whole, parts, card)
    mark_used(whole)
    return torch.from_numpy(found)[:images]


def _images(path: Path) -> NDArray[Any] | None:
    """Those of a file, mapped; None where there is no whole one."""
    found = sealed_array(path)
    return None if found is None else found[0]


def images_in(path: Path) -> int:
    """How many are in a file of these; 0 where there is no whole one."""
    found = _images(path)
    return 0 if found is None else len(found)


def _make_blocks(
    card: Mapping[str, Any],
    whole: Path,
    there: int,
    parts: Mapping[Path, range],
    make: Callable[[range], Tensor],
) -> None:
    """Return once all blocks are there, or others have joined some to the `there` of the file.

    What they have joined may be less than what is wanted here: then there is another plan to make.
    """
    paths = list(parts)
    together = _together.get()
    mine = together.take(f"{whole.name} from {there} to {parts[paths[-1]].stop}", len(paths))
    with Bar(card["kind"], len(parts), "block", hidden=not is_main(), brief=True) as bar:
        for index in mine:
            _make_block(paths[index], whole, parts[paths[index]], make, card)
            bar.advance()
        while images_in(whole) == there:
            missing = [path for path in paths if _images(path) is None]
            bar.advance(len(paths) - len(missing) - bar.done)
            if not missing:
                return
            together.ask({path: len(parts[path]) for path in missing})
            if not any(_make_block(path, whole, parts[path], make, card) for path in missing):
                time.sleep(WAIT_SECONDS)


def _make_block(
    path: Path,
    whole: Path,
    rows: range,
    make: Callable[[range], Tensor],
    card: Mapping[str, Any],
) -> bool:
    """Whether there was something left for this process to do."""
    try:
        with FileLock(path.with_suffix(".lock"), timeout=0):
            if _images(path) is not None or images_in(whole) >= rows.stop:
                return False
            values = make(rows).cpu().numpy()
            with atomic_path(path, ".partial.npy") as partial:
                array = reserved_array(partial, values.dtype, values.shape)
                array[:] = values
                array.flush()
                seal(partial, path.name, card=card)
            return True
    except Timeout:
        return False


def _append(whole: Path, parts: Mapping[Path, range], card: Mapping[str, Any]) -> None:
    """A new file in place of the old one, which those who have mapped it keep."""
    found = [_images(path) for path in (whole, *parts)]
    blocks = [images for images in found if images is not None]
    if any(images is None for images in found[1:]):
        return  # it was damaged meanwhile, and is made again
    with atomic_path(whole) as partial:
        shape = (sum(map(len, blocks)), *blocks[-1].shape[1:])
        array = reserved_array(partial, blocks[-1].dtype, shape)
        np.concatenate(blocks, out=array)
        array.flush()
        seal(partial, whole.name, card=card)
    for path in parts:
        path.unlink(missing_ok=True)
        path.with_suffix(".lock").unlink(missing_ok=True)
