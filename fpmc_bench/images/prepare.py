"""A folder of pictures -> a zip of small square images in EDM's layout, always the same bytes."""

import io
import json
import zipfile
from pathlib import Path

import numpy as np
from PIL import Image

from fpmc_bench.errors import InputError
from fpmc_bench.images.decoding import codes, opened
from fpmc_bench.images.files import LABELS_FILE, image_files
from fpmc_bench.images.in_threads import in_threads
from fpmc_bench.storage.atomic import atomic_path

EPOCH = (1980, 1, 1, 0, 0, 0)
"""The first moment that a zip can name; a file's own would make every archive another."""


def prepare_zip(folder: Path, target: Path, side_px: int) -> int:
    """Centre-crop to a square, resize by Lanczos, write as PNG in the order of names.

    Returns the number of images. InputError names the file that is wrong; `target` is written
    whole or not at all.
    """
    if side_px < 1:
        raise InputError(f"side_px must be at least 1, got {side_px}")
    if target.exists():
        raise InputError(f"{target} exists; remove it, or choose another name")
    files = image_files(folder)

    def small(name: str, content: bytes) -> bytes:
        return _small_png(name, content, side_px)

    with (
        atomic_path(target) as partial,
        zipfile.ZipFile(partial, "w", zipfile.ZIP_STORED) as archive,
    ):
        written: list[str] = []
        for content in in_threads(files, small, "preparing"):
            written.append(_name(len(written)))
            archive.writestr(zipfile.ZipInfo(written[-1], EPOCH), content)
        labels = None
        if files.labels is not None:
            labels = [list(pair) for pair in zip(written, files.labels, strict=True)]
        archive.writestr(zipfile.ZipInfo(LABELS_FILE, EPOCH), json.dumps({"labels": labels}))
    return len(files.names)


def _name(index: int) -> str:
    """EDM's: 00000/img00000000.png, a thousand to a folder."""
    text = f"{index:08d}"
    return f"{text[:5]}/img{text}.png"


def _small_png(name: str, content: bytes, side_px: int) -> bytes:
    values = codes(opened(content, name), name, "colour").transpose(1, 2, 0)
    height, width, _ = values.shape
    if min(height, width) < side_px:
        raise InputError(
            f"{name} has {width}x{height} pixels, fewer than the {side_px} asked for: enlarging "
            f"would invent what is not there"
        )
    side = min(height, width)
    top, left = (height - side) // 2, (width - side) // 2
    square = Image.fromarray(np.ascontiguousarray(values[top : top + side, left : left + side]))
    buffer = io.BytesIO()
    square.resize((side_px, side_px), Image.Resampling.LANCZOS).save(buffer, "PNG")
    return buffer.getvalue()
