"""Pictures of any size -> a zip of small square images in EDM's layout, always the same bytes."""

import io
import json
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from fpmc_bench.errors import InputError
from fpmc_bench.images.decoding import codes
from fpmc_bench.images.files import image_files
from fpmc_bench.images.in_threads import in_threads
from fpmc_bench.images.labels import LABELS_FILE
from fpmc_bench.storage.atomic import atomic_path
from fpmc_bench.storage.folders import refuse_unwritable

EPOCH = (1980, 1, 1, 0, 0, 0)
"""The first moment that a zip can name; a file's own would make every archive another."""
MOST_LISTED = 20


@dataclass(frozen=True)
class Prepared:
    """How many `images` were written, and what is wrong with each of those that were not."""

    images: int
    left_out: tuple[str, ...]


def prepare_zip(path: Path, target: Path, side_px: int, *, skip_damaged: bool = False) -> Prepared:
    """Turn the pictures of a folder or a zip upright, centre-crop to a square, resize by Lanczos.

    They are written as PNG, in the order of names. InputError lists all files that are wrong, which
    `skip_damaged` leaves out; `target` is written whole or not at all.
    UsageError where nothing can be written there, DiskError where the disk is full.
    """
    if side_px < 1:
        raise InputError(f"side_px must be at least 1, got {side_px}")
    if target.exists():
        raise InputError(f"{target} exists; remove it, or choose another name")
    refuse_unwritable(target.parent, "OUT")
    files = image_files(path)

    def small(name: str, image: Image.Image) -> bytes:
        return _small_png(name, image, side_px)

    with (
        atomic_path(target) as partial,
        zipfile.ZipFile(partial, "w", zipfile.ZIP_STORED) as archive,
    ):
        written: list[str] = []
        classes: list[int] = []
        wrong: list[str] = []
        for row, content in enumerate(in_threads(files, small, "preparing")):
            if isinstance(content, InputError):
                wrong.append(str(content))
            elif skip_damaged or not wrong:
                written.append(_name(len(written)))
                archive.writestr(zipfile.ZipInfo(written[-1], EPOCH), content)
                classes += [] if files.labels is None else [files.labels[row]]
        if wrong and not (skip_damaged and written):
            raise InputError(_listed(wrong, len(files.names)))
        labels = None
        if files.labels is not None:
            labels = [list(pair) for pair in zip(written, classes, strict=True)]
        archive.writestr(zipfile.ZipInfo(LABELS_FILE, EPOCH), json.dumps({"labels": labels}))
    return Prepared(len(written), tuple(wrong))


def _listed(wrong: Sequence[str], count: int) -> str:
    first = f"{len(wrong)} of {count} pictures can't be used"
    if len(wrong) < count:
        first += "; --skip-damaged leaves such out"
    more = [f"and {len(wrong) - MOST_LISTED} more"] if len(wrong) > MOST_LISTED else []
    return "\n  ".join([f"{first}:", *wrong[:MOST_LISTED], *more])


def _name(index: int) -> str:
    """EDM's: 00000/img00000000.png, a thousand to a folder."""
    text = f"{index:08d}"
    return f"{text[:5]}/img{text}.png"


def _small_png(name: str, image: Image.Image, side_px: int) -> bytes:
    values = codes(image, name, "colour").transpose(1, 2, 0)
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
