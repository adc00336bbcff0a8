"""Decoded images as one memory-mapped array of bytes, made once for each content."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from filelock import FileLock

from fpmc_bench.contracts import StoredImages
from fpmc_bench.images.files import image_files
from fpmc_bench.images.into_array import decode_into
from fpmc_bench.storage.atomic import atomic_path
from fpmc_bench.storage.cache import cache_folder, mark_used
from fpmc_bench.storage.content import file_fingerprint
from fpmc_bench.storage.keys import content_key
from fpmc_bench.storage.mapped import seal, sealed_array

VERSION = 2
"""Raised when the same files would be decoded to other bytes."""


def decoded_images(path: str | Path, *, shuffle_seed: int | None = None) -> StoredImages:
    """The images of a zip or a folder. Decoded the first time, with a progress bar.

    In the order of their names, or shuffled by a seed from 0 to 2^32 - 1, alike on every machine.
    InputError names the file that is wrong, and why; nothing is left of a decoding that failed.
    """
    path = Path(path)
    files, key = image_files(path), file_fingerprint(path)
    card = {"files": key, "path": str(path.absolute()), "shuffle_seed": shuffle_seed}
    if shuffle_seed is not None:
        # of numpy's generators the one that is frozen: seeds mean the same for good
        rows = np.random.RandomState(shuffle_seed).permutation(len(files.names))
        files, key = files.ordered(rows.tolist()), content_key([key, shuffle_seed], letters=32)
    return stored_images(key, lambda array: decode_into(array, files), made_from=card)


def stored_images(
    key: str,
    produce: Callable[[Path], tuple[int, ...] | None],
    *,
    made_from: Mapping[str, Any] | None = None,
) -> StoredImages:
    """Those of a key; where there are none, `produce` writes them to a .npy and returns labels.

    `made_from` is plain data that `fpmc-bench cache explain` shows of them, beside the key. Of
    several processes that ask at once one produces. A damaged file is said and produced anew.
    Raises what `produce` raises, of which nothing is left; UsageError where the cache can't be
    written into, DiskError where the disk is full.
    """
    path = cache_folder("images") / f"{key[:32]}-{VERSION}.npy"
    with FileLock(path.with_suffix(".lock")):
        found = _stored(path)
        if found is None:
            with atomic_path(path, ".partial.npy") as partial:
                labels = produce(partial)
                card = {"key": key, **(made_from or {}), "version": VERSION}
                seal(partial, path.name, labels, card)
            found = _stored(path)
        assert found is not None, "it has just been written"
        mark_used(path)
        return found


def _stored(path: Path) -> StoredImages | None:
    """Those of a file; None where there is no whole one."""
    found = sealed_array(path)
    if found is None:
        return None
    array, labels = found
    return StoredImages(torch.from_numpy(array), None if labels is None else tuple(labels))
