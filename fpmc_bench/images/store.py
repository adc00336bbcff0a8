"""Decoded images as one memory-mapped array of bytes, made once for each content."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from filelock import FileLock

from fpmc_bench.contracts import StoredImages
from fpmc_bench.errors import InputError
from fpmc_bench.images.decoding import Kind, codes, kind_of, opened
from fpmc_bench.images.files import ImageFiles, image_files
from fpmc_bench.images.in_threads import in_threads
from fpmc_bench.storage.atomic import atomic_path
from fpmc_bench.storage.cache import cache_directory
from fpmc_bench.storage.content import file_fingerprint

VERSION = 1
"""Raised when the same files would be decoded to other bytes."""


def decoded_images(path: Path) -> StoredImages:
    """The images of a zip or a folder. Decoded the first time, with a progress bar.

    InputError names the file that is wrong, and why; nothing is left of a decoding that failed.
    """
    return stored_images(file_fingerprint(path), lambda array: _decode(image_files(path), array))


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


def _decode(files: ImageFiles, target: Path) -> tuple[int, ...] | None:
    """All images of one shape into a .npy; the first says which shape, colour wins over grey."""
    kind = _common_kind(files)
    first_name, first_content = next(files.contents())
    first = codes(opened(first_content, first_name), first_name, kind)
    shape = (len(files.names), *first.shape)
    array = np.lib.format.open_memmap(target, mode="w+", dtype=np.uint8, shape=shape)

    def one(name: str, content: bytes) -> np.ndarray:
        values = codes(opened(content, name), name, kind)
        if values.shape != first.shape:
            raise InputError(
                f"{name} has {values.shape[2]}x{values.shape[1]} pixels, but {first_name} has "
                f"{first.shape[2]}x{first.shape[1]}; images of one size are needed: "
                f"'fpmc-bench data prepare' crops and resizes a folder"
            )
        return values

    for index, values in enumerate(in_threads(files, one, "decoding")):
        array[index] = values
    array.flush()
    return files.labels


def _common_kind(files: ImageFiles) -> Kind:
    """Grey where all images are: the first few decide to look at all of them."""
    kinds = (kind_of(opened(content, name)) for name, content in files.contents())
    return "grey" if all(kind == "grey" for kind in kinds) else "colour"
