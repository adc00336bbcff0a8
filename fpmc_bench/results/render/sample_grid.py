"""Samples side by side: a row an entry, a column a shared initial noise."""

import io
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import PIL
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont
from PIL.PngImagePlugin import PngInfo

from fpmc_bench.documents.text import one_line
from fpmc_bench.errors import InputError, RunError
from fpmc_bench.results.render.origin import SOFTWARE, SOURCE, key_of_images
from fpmc_bench.storage.arrays import read_arrays
from fpmc_bench.storage.atomic import write_atomically
from fpmc_bench.storage.notations import parsed_json

ORDER = ".order"
"""The array of a file of samples that lists its rows (JSON): no row is called that."""
GRID_SAMPLES = 12
"""How many samples a row are kept for the sample grid."""
MOST_EXPANSION, SMALL_BYTES = 20, 2**24
"""Samples that are kept take so many times their file at most (two is usual), or so little."""
MOST_PIXELS = 2**27
"""Of a grid: a hundred rows of images of 256 x 256 have fewer."""
LONGEST_LABEL = 200
CELL_PX = 64
"""Least side of a shown image: small ones are enlarged by a whole factor, pixel by pixel."""
GAP_PX = 4
FONT_PX = 16
HEADING_FONT_PX, HEADING_PX = 11, 16
"""Of the text above a column, and of the line that it takes."""


def write_sample_grid(path: Path, rows: Mapping[str, NDArray[np.floating]]) -> None:
    """Write the PNG that `draw_sample_grid` draws of `rows`: label -> [n,C,H,W] in [-1, 1]."""
    write_atomically(path, draw_sample_grid(rows))


def draw_sample_grid(
    rows: Mapping[str, NDArray[np.floating]], headings: Sequence[Sequence[str]] = ()
) -> bytes:
    """A PNG of `rows`: label -> [n,C,H,W] in [-1, 1], the teacher first; C is 1 or 3.

    `headings`: lines of short text above, each with one for every column. Values beyond [-1, 1] are
    clamped for display. InputError where the shapes don't agree, and for a grid of more than
    MOST_PIXELS.
    """
    count, _, height, width = _common_shape(rows)
    factor = max(1, -(-CELL_PX // min(height, width)))
    step_x, step_y = width * factor + GAP_PX, height * factor + GAP_PX
    font = ImageFont.load_default(FONT_PX)
    labels = [one_line(label) for label in rows]
    labels_px = int(max(font.getlength(label) for label in labels)) + 5 * GAP_PX
    headings_px = len(headings) * HEADING_PX
    size = (labels_px + count * step_x, headings_px + GAP_PX + len(rows) * step_y)
    if size[0] * size[1] > MOST_PIXELS:
        raise InputError(f"a sample grid of {size[0]}x{size[1]} pixels; at most {MOST_PIXELS} fit")
    grid = Image.new("RGB", size, "white")
    draw = ImageDraw.Draw(grid)
    for line, (label, images) in enumerate(zip(labels, rows.values(), strict=True)):
        top = headings_px + GAP_PX + line * step_y
        middle = (labels_px - 2 * GAP_PX, top + height * factor // 2)
        draw.text(middle, label, fill="black", font=font, anchor="rm")
        for column, image in enumerate(images):
            grid.paste(_enlarged(image, factor), (labels_px + column * step_x, top))
    small = ImageFont.load_default(HEADING_FONT_PX)
    for line, texts in enumerate(headings):
        for column, text in enumerate(texts):
            corner = (labels_px + column * step_x, line * HEADING_PX + GAP_PX)
            draw.text(corner, one_line(text), fill="black", font=small)
    output = io.BytesIO()
    said = PngInfo()
    said.add_text(SOFTWARE, f"Pillow {PIL.__version__}")
    said.add_text(SOURCE, key_of_images(rows))
    grid.save(output, format="PNG", pnginfo=said)
    return output.getvalue()


def read_samples(path: Path) -> dict[str, NDArray[np.floating]]:
    """label -> [n,C,H,W], in the file's own order.

    At most GRID_SAMPLES of each, floats. RunError where the file is missing, damaged, of another
    kind, or larger than samples can be.
    """
    size = path.stat().st_size if path.is_file() else 0
    arrays = read_arrays(path, max(SMALL_BYTES, MOST_EXPANSION * size))
    try:
        rows = {label: arrays[label] for label in parsed_json(str(arrays[ORDER]))}
    except (ValueError, KeyError, TypeError) as error:
        raise RunError(f"{path} is not a file of samples: {error!r:.200}") from error
    for label, images in rows.items():
        if not label.isprintable() or len(label) > LONGEST_LABEL:
            raise RunError(f"{path} is not a file of samples: no row is called {label[:40]!r}")
        if images.dtype.kind != "f" or images.ndim != 4 or len(images) > GRID_SAMPLES:
            raise RunError(
                f"{path} is not a file of samples: '{label}' is {images.dtype} "
                f"{list(images.shape)}; expected at most {GRID_SAMPLES} images [n,C,H,W], floats"
            )
    return rows


def _enlarged(image: NDArray[np.floating], factor: int) -> Image.Image:
    """[C,H,W] in [-1, 1] -> RGB; the inverse of uint8 / 127.5 - 1."""
    codes = np.rint((np.clip(image, -1, 1) + 1) * 127.5).astype(np.uint8)
    colours = np.broadcast_to(codes, (3, *codes.shape[1:])).transpose(1, 2, 0)
    return Image.fromarray(np.repeat(np.repeat(colours, factor, axis=0), factor, axis=1))


def _common_shape(rows: Mapping[str, NDArray[np.floating]]) -> tuple[int, int, int, int]:
    """[n,C,H,W] of all rows, or InputError naming the one that differs."""
    if not rows:
        raise InputError("a sample grid needs at least one row of images")
    first = next(iter(rows))
    shape = rows[first].shape
    if len(shape) != 4 or shape[1] not in (1, 3) or 0 in shape:
        raise InputError(f"samples of '{first}' must be [n,C,H,W] with C 1 or 3, got {shape}")
    for label, images in rows.items():
        if images.shape != shape:
            raise InputError(
                f"samples of '{label}' have shape {images.shape}, those of '{first}' {shape}"
            )
        if not np.isfinite(images).all():
            raise InputError(f"samples of '{label}' hold NaN or infinite values")
    return shape
