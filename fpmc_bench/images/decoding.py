"""One image file -> 8-bit codes, by rules that lose nothing and guess nothing.

Grey and palette images become RGB where the others are. An image of more than 8 bits, with
transparent pixels, or cut short is refused by name.
"""

import io
from typing import Literal

import numpy as np
from PIL import Image, UnidentifiedImageError

from fpmc_bench.errors import InputError

SUFFIXES = frozenset({".png", ".jpg", ".jpeg", ".bmp", ".webp", ".ppm", ".pgm", ".tif", ".tiff"})
MAX_PIXELS = 2**26
"""8192 x 8192: more is no image of a data set, but a file made to exhaust memory."""
GREY_MODES = frozenset({"1", "L"})
MANY_BITS = ("I", "F")
"""How the names of modes with more than 8 bits begin."""

Kind = Literal["grey", "colour"]


def opened(content: bytes, name: str) -> Image.Image:
    """The image with its pixels decoded; InputError names the file and what is wrong with it."""
    try:
        image = Image.open(io.BytesIO(content))
        if image.width * image.height > MAX_PIXELS:
            raise InputError(
                f"{name} claims {image.width}x{image.height} pixels; expected at most {MAX_PIXELS}"
            )
        image.load()
    except (UnidentifiedImageError, Image.DecompressionBombError) as error:
        raise InputError(f"{name} is no image that can be read; remove or replace it") from error
    except (OSError, SyntaxError, ValueError, EOFError) as error:
        raise InputError(
            f"{name} is cut short or damaged ({error}); fetch it again, or remove it"
        ) from error
    return image


def kind_of(image: Image.Image) -> Kind:
    """Whether shades of grey are all there is."""
    return "grey" if image.mode in GREY_MODES else "colour"


def codes(image: Image.Image, name: str, kind: Kind) -> np.ndarray:
    """uint8 [1,H,W] or [3,H,W]; a grey image among coloured ones has three equal channels.

    InputError, with `name` in it, for more than 8 bits a value or transparent pixels.
    """
    if image.mode.startswith(MANY_BITS):
        raise InputError(
            f"{name} has more than 8 bits a value ({image.mode}); convert it to 8 bits"
        )
    if image.mode in ("RGBA", "LA", "PA") or "transparency" in image.info:
        image = _opaque(image, name)
    converted = image.convert("L" if kind == "grey" else "RGB")
    values = np.asarray(converted, dtype=np.uint8)
    return values[None] if kind == "grey" else values.transpose(2, 0, 1)


def _opaque(image: Image.Image, name: str) -> Image.Image:
    """Without its alpha channel, if that hides nothing."""
    with_alpha = image.convert("RGBA")
    if np.asarray(with_alpha.getchannel("A")).min() < 255:
        raise InputError(
            f"{name} has transparent pixels; put it on a background first: what is behind them is "
            f"not for fpmc_bench to choose"
        )
    return with_alpha.convert("RGB")
