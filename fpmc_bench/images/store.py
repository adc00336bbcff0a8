"""Decoded images as one memory-mapped array of bytes, made once for each content."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from filelock import FileLock

from fpmc_bench.contracts import StoredImages
from fpmc_bench.images.files import image_files
from fpmc_bench.images.into_array import decode_into
from fpmc_bench.storage.atomic import atomic_path
from fpmc_bench.storage.cache import cache_directory
from fpmc_bench.storage.content import file_fingerprint
from fpmc_bench.storage.keys import content_key

VERSION = 2
"""Raised when the same files would be decoded to other bytes."""


def decoded_images(path: Path, *, shuffle_seed: int | None = None) -> StoredImages:
    """The images of a zip or a folder. Decoded the first time, with a progress bar.

    In the order of their names, or shuffled by a seed from 0 to 2^32 - 1, alike on every machine.
    InputError names the file that is wrong, and why; nothing is left of a decoding that failed.
    """
    files, key = image_files(path), file_fingerprint(path)
    if shuffle_seed is not None:
        # of numpy's generators the one that is frozen: seeds mean the same for good
        rows = np.random.RandomState(shuffle_seed).permutation(len(files.names))
        files, key = files.ordered(rows.tolist()), content_key([key, shuffle_seed], letters=32)
    return stored_images(key, lambda array: decode_into(array, files))


def stored_images(key: str, produce: Callable[[Path], tuple[int, ...] | None]) -> StoredImages:
    """Those of a key; where there are none, `produce` writes them to a .npy and returns labels.

    Of several processes that ask at once one produces. A damaged file is produced anew. Raises
    what `produce` raises, of which nothing is left.
    """
    folder = cache_directory() / "images"
    folder.mkdir(parents=True, exist_ok=True)
    array, labels = folder / f"{key[:32]}-{VERSION}.npy", folder / f"{key[:32]}-{VERSION}.json"
    with FileLock(array.with_suffix(".lock")):
        try:
            return _mapped(array, labels)
        except (OSError, ValueError):
            pass
        with atomic_path(array, ".partial.npy") as partial:
            found = produce(partial)
            labels.write_text(json.dumps(found), encoding="ascii")
        return _mapped(array, labels)


def _mapped(array: Path, labels: Path) -> StoredImages:
    """Pages are read when they are touched; writing to them would change this process's copy."""
    found = np.load(array, mmap_mode="c")
    if found.ndim != 4 or found.dtype != np.uint8:
        raise ValueError(f"{array} holds no images")
    content = json.loads(labels.read_text(encoding="ascii"))
    return StoredImages(torch.from_numpy(found), None if content is None else tuple(content))
