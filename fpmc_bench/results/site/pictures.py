"""Images as PNG files: a strip of several side by side, of which a page shows one at a time."""

import io
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image

SHOWN_PX = 48
"""Least side of a shown image: small ones are enlarged by a whole factor, pixel by pixel."""
DIFFERENCE_WHITE = 1.0
"""The absolute difference that is shown white, of at most 2."""


@dataclass(frozen=True)
class Strip:
    """`count` images side by side in the file at `src`, each shown with these sides."""

    src: str
    count: int
    width_px: int
    height_px: int

    def position(self, number: int) -> str:
        """Which part of it shows image `number`, as CSS `object-position`."""
        return f"{100 * number / max(self.count - 1, 1):.6g}% 0"


def codes_of(values: NDArray[np.floating]) -> NDArray[np.uint8]:
    """Values in [-1, 1] of any shape, clamped, as codes from 0 to 255."""
    codes: NDArray[np.uint8] = np.rint((np.clip(values, -1, 1) + 1) * 127.5).astype(np.uint8)
    return codes


def difference_codes(a: NDArray[np.floating], b: NDArray[np.floating]) -> NDArray[np.uint8]:
    """|a - b| of images of any one shape: 0 is black, DIFFERENCE_WHITE and more is white."""
    return codes_of(2 * np.abs(a - b) / DIFFERENCE_WHITE - 1)


def strip_png(codes: NDArray[np.uint8]) -> bytes:
    """Images [n,C,H,W], C 1 or 3, side by side in a PNG, a pixel each; equal input, equal bytes."""
    count, channels, height, width = codes.shape
    flat = codes.transpose(2, 0, 3, 1).reshape(height, count * width, channels)
    image = Image.fromarray(flat[:, :, 0] if channels == 1 else flat)
    output = io.BytesIO()
    image.save(output, format="PNG", optimize=True)
    return output.getvalue()


def strip_of(src: str, codes: NDArray[np.uint8]) -> Strip:
    """How images [n,C,H,W] are shown from a file at `src`."""
    count, _, height, width = codes.shape
    factor = max(1, -(-SHOWN_PX // min(height, width)))
    return Strip(src, count, width * factor, height * factor)
