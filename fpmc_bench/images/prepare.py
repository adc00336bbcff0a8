"""A folder of pictures -> a zip of small square images in EDM's layout, always the same bytes."""

import io
import json
import os
import zipfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from pathlib import Path

import numpy as np
from PIL import Image
from tqdm import tqdm

from fpmc_bench.errors import InputError
from fpmc_bench.images.decoding import codes, opened
from fpmc_bench.images.files import LABELS_FILE, image_files

EPOCH = (1980, 1, 1, 0, 0, 0)
"""The first moment that a zip can name; a file's own would make every archive another."""
AT_ONCE = 64


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
    partial = target.with_name(f"{target.name}.{os.getpid()}.partial")

    def one(named: tuple[str, bytes]) -> bytes:
        return _small_png(*named, side_px)

    try:
        with (
            zipfile.ZipFile(partial, "w", zipfile.ZIP_STORED) as archive,
            ThreadPoolExecutor() as threads,
            tqdm(total=len(files.names), desc="preparing", unit="image", disable=None) as bar,
        ):
            written: list[str] = []
            for batch in _batches(files.contents()):
                for content in threads.map(one, batch):
                    written.append(_name(len(written)))
                    archive.writestr(zipfile.ZipInfo(written[-1], EPOCH), content)
                bar.update(len(batch))
            labels = None
            if files.labels is not None:
                labels = [list(pair) for pair in zip(written, files.labels, strict=True)]
            archive.writestr(zipfile.ZipInfo(LABELS_FILE, EPOCH), json.dumps({"labels": labels}))
        partial.replace(target)
    finally:
        partial.unlink(missing_ok=True)
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


def _batches(contents: Iterator[tuple[str, bytes]]) -> Iterator[list[tuple[str, bytes]]]:
    while batch := list(islice(contents, AT_ONCE)):
        yield batch
