"""Some images of a data set on one sheet, to look at."""

from pathlib import Path

import numpy as np
from PIL import Image
from torch import Tensor

from fpmc_bench.storage.atomic import atomic_path

ROWS, COLUMNS = 8, 16
GAP_PX = 2
LEAST_SIDE_PX = 64
"""Small images are enlarged by whole factors up to about this side, pixels kept sharp."""


def write_contact_sheet(codes: Tensor, scale: float, path: Path) -> int:
    """Draw up to 128 images, spread evenly over the set, as one picture; returns how many.

    `codes` [N,C,H,W] uint8, C 1 or 3, stand for codes * scale - 1 in [-1,1]. DiskError where the
    sheet can't be written.
    """
    count = min(len(codes), ROWS * COLUMNS)
    rows = np.linspace(0, len(codes) - 1, count).round().astype(int)
    chosen = codes[rows].numpy().astype(np.float64) * scale
    bytes_ = (chosen * 127.5).round().clip(0, 255).astype(np.uint8).transpose(0, 2, 3, 1)
    if bytes_.shape[3] == 1:
        bytes_ = bytes_.repeat(3, axis=3)
    factor = max(1, LEAST_SIDE_PX // bytes_.shape[1])
    bytes_ = bytes_.repeat(factor, axis=1).repeat(factor, axis=2)
    _, height, width, _ = bytes_.shape
    lines = -(-count // COLUMNS)
    sheet = np.full(
        (lines * (height + GAP_PX) + GAP_PX, COLUMNS * (width + GAP_PX) + GAP_PX, 3), 255, np.uint8
    )
    for index, image in enumerate(bytes_):
        top = GAP_PX + index // COLUMNS * (height + GAP_PX)
        left = GAP_PX + index % COLUMNS * (width + GAP_PX)
        sheet[top : top + height, left : left + width] = image
    with atomic_path(path, f".partial{path.suffix}") as partial:
        Image.fromarray(sheet).save(partial)
    return count
