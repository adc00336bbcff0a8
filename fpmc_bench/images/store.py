"""Decoded images as one memory-mapped array of bytes, made once for each content."""

import json
import os
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from pathlib import Path

import numpy as np
import torch
from filelock import FileLock
from tqdm import tqdm

from fpmc_bench.contracts import StoredImages
from fpmc_bench.errors import InputError
from fpmc_bench.images.decoding import Kind, codes, kind_of, opened
from fpmc_bench.images.files import ImageFiles, image_files
from fpmc_bench.storage.cache import cache_directory
from fpmc_bench.storage.content import file_fingerprint

VERSION = 1
"""Raised when the same files would be decoded to other bytes."""
AT_ONCE = 256
"""Images handed to the decoding threads together."""


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
        partial = array.with_name(f"{array.stem}.{os.getpid()}.partial.npy")
        try:
            found = produce(partial)
            labels.write_text(json.dumps(found), encoding="ascii")
            partial.replace(array)
        finally:
            partial.unlink(missing_ok=True)
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

    def one(named: tuple[str, bytes]) -> np.ndarray:
        name, content = named
        values = codes(opened(content, name), name, kind)
        if values.shape != first.shape:
            raise InputError(
                f"{name} has {values.shape[2]}x{values.shape[1]} pixels, but {first_name} has "
                f"{first.shape[2]}x{first.shape[1]}; images of one size are needed: "
                f"'fpmc-bench data prepare' crops and resizes a folder"
            )
        return values

    with ThreadPoolExecutor() as threads, _bar("decoding", len(files.names)) as bar:
        done = 0
        for batch in _batches(files.contents()):
            for values in threads.map(one, batch):
                array[done] = values
                done += 1
            bar.update(done - bar.n)
    array.flush()
    return files.labels


def _common_kind(files: ImageFiles) -> Kind:
    """Grey where all images are: the first few decide to look at all of them."""
    kinds = (kind_of(opened(content, name)) for name, content in files.contents())
    return "grey" if all(kind == "grey" for kind in kinds) else "colour"


def _batches(contents: Iterator[tuple[str, bytes]]) -> Iterator[list[tuple[str, bytes]]]:
    while batch := list(islice(contents, AT_ONCE)):
        yield batch


def _bar(label: str, total: int) -> "tqdm[None]":
    """A progress bar of the main process, where there is a terminal."""
    disable = True if os.environ.get("RANK", "0") != "0" else None
    return tqdm(total=total, desc=label, unit="image", disable=disable, leave=False)
