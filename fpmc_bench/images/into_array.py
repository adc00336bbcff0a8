"""All images of a zip or a folder -> one .npy of bytes, a few at a time."""

import shutil
from pathlib import Path

import numpy as np
from PIL import Image

from fpmc_bench.errors import InputError
from fpmc_bench.images.decoding import Kind, codes, kind_of, opened
from fpmc_bench.images.files import ImageFiles
from fpmc_bench.images.in_threads import in_threads
from fpmc_bench.storage.cache import ENVIRONMENT_VARIABLE
from fpmc_bench.storage.mapped import reserved_array

MAX_EXPANSION = 200
"""Images may take so many times the bytes of their files (JPEGs about ten, drawings a hundred)."""
SMALL_BYTES = 2**28
"""Below this a ratio says nothing."""
SPARE_BYTES = 2**28
"""Left free on the disk."""


def decode_into(target: Path, files: ImageFiles) -> tuple[int, ...] | None:
    """Write [N,C,H,W] uint8 in the order of `files`; returns their labels.

    All are of the shape of the first one; colour wins over grey. InputError names the file that is
    wrong; for images that would take too much it does so before the first is decoded.
    """
    with files.reader() as read:
        headers = (opened(read(name), files.shown(name)) for name in files.names)
        first = next(headers)
        grey = kind_of(first) == "grey" and all(kind_of(image) == "grey" for image in headers)
    kind: Kind = "grey" if grey else "colour"
    _refuse_large(len(files.names) * (1 if grey else 3) * first.width * first.height, target, files)
    first_name = files.shown(files.names[0])
    shape = codes(first, first_name, kind).shape

    def one(name: str, image: Image.Image) -> np.ndarray:
        values = codes(image, name, kind)
        if values.shape != shape:
            raise InputError(
                f"{name} has {values.shape[2]}x{values.shape[1]} pixels, but {first_name} has "
                f"{shape[2]}x{shape[1]}; images of one size are needed: 'fpmc-bench data prepare' "
                f"crops and resizes them"
            )
        return values

    array = reserved_array(target, np.uint8, (len(files.names), *shape))
    for index, values in enumerate(in_threads(files, one, "decoding")):
        if isinstance(values, InputError):
            raise values
        array[index] = values
    array.flush()
    return files.labels


def _refuse_large(size: int, target: Path, files: ImageFiles) -> None:
    """InputError for images that would take so many bytes, where these are too many."""
    stored = files.stored_bytes()
    what = f"{files.path}: {len(files.names)} images would take {size >> 20} MiB when decoded"
    smaller = "'fpmc-bench data prepare' makes small images of them"
    if size > max(SMALL_BYTES, MAX_EXPANSION * stored):
        raise InputError(
            f"{what}, more than {MAX_EXPANSION} times the {stored} bytes of their files, as only "
            f"blank images or a trap do; {smaller}"
        )
    free = shutil.disk_usage(target.parent).free
    if size + SPARE_BYTES > free:
        raise InputError(
            f"{what}, but of the disk of {target.parent} {free >> 20} MiB are free, of which "
            f"{SPARE_BYTES >> 20} are spared; make room, name a folder on another disk by "
            f"{ENVIRONMENT_VARIABLE}, or take smaller images: {smaller}"
        )
