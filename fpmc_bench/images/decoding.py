"""One image file -> 8-bit codes, by rules that lose nothing and guess nothing.

Photographs are turned as their EXIF orientation says. Grey and palette images become RGB where the
others are. An image of more than 8 bits, of several frames, of colours other than RGB, with
transparent pixels, or cut short is refused by name.
"""

import io
from typing import Any, Literal

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from fpmc_bench.errors import InputError

SUFFIXES = frozenset(
    {".png", ".jpg", ".jpeg", ".jfif", ".bmp", ".gif", ".webp", ".ppm", ".pgm", ".tif", ".tiff"}
)
FORMATS = ("PNG", "JPEG", "BMP", "GIF", "WEBP", "PPM", "TIFF")
"""Whatever a file is called, it is read as one of these alone."""
MAX_PIXELS = 2**26
"""8192 x 8192: more is no image of a data set, but a file made to exhaust memory."""
GREY_MODES = frozenset({"1", "L", "LA"})
ALPHA_MODES = frozenset({"LA", "PA", "RGBA"})
MODES = GREY_MODES | ALPHA_MODES | {"P", "RGB"}
"""What Pillow calls pixels that are read without a choice of ours."""
BITS_PER_SAMPLE, EXTRA_SAMPLES, SAMPLE_FORMAT = 258, 338, 339
"""Tags of TIFF."""

Kind = Literal["grey", "colour"]


def opened(content: bytes, name: str) -> Image.Image:
    """The image, its header read and found fit, its pixels not decoded yet.

    InputError names the file and what is wrong with it.
    """
    try:
        image = Image.open(io.BytesIO(content), formats=FORMATS)
        frames = getattr(image, "n_frames", 1) + _has_another_behind(image, content)
        many_bits, unknown = _has_many_bits(image), _has_unknown_channels(image)
    except (UnidentifiedImageError, Image.DecompressionBombError) as error:
        raise InputError(f"{name} is no image that can be read; remove or replace it") from error
    except Exception as error:  # parsers of damaged bytes raise whatever they stumble over
        raise _damaged(name, error) from error
    if image.width * image.height > MAX_PIXELS:
        raise InputError(
            f"{name} claims {image.width}x{image.height} pixels; expected at most {MAX_PIXELS}"
        )
    if frames > 1:
        raise InputError(
            f"{name} holds {frames} frames or pages; expected one: save the one that is meant"
        )
    if many_bits or image.mode.startswith(("I", "F")):
        raise InputError(
            f"{name} has more than 8 bits a value, or signed ones; convert it to 8 bits"
        )
    if image.mode not in MODES or unknown:
        what = "channels that it does not explain" if unknown else f"colours as {image.mode}"
        raise InputError(
            f"{name} has {what}; convert it to RGB or grey: how is not for fpmc_bench to choose"
        )
    return image


def decoded(image: Image.Image, name: str) -> Image.Image:
    """An image that was `opened`, with its pixels, turned upright as its EXIF orientation says.

    InputError where it is cut short or damaged.
    """
    try:
        return ImageOps.exif_transpose(image)
    except Exception as error:  # as above
        raise _damaged(name, error) from error


def kind_of(image: Image.Image) -> Kind:
    """Whether shades of grey are all there is."""
    return "grey" if image.mode in GREY_MODES else "colour"


def codes(image: Image.Image, name: str, kind: Kind) -> np.ndarray:
    """uint8 [1,H,W] or [3,H,W]; a grey image among coloured ones has three equal channels.

    InputError, with `name` in it, for transparent pixels and for what can't be `decoded`.
    """
    image = decoded(image, name)
    if image.mode in ALPHA_MODES or "transparency" in image.info:
        image = _opaque(image, name)
    converted = image.convert("L" if kind == "grey" else "RGB")
    values = np.asarray(converted, dtype=np.uint8)
    return values[None] if kind == "grey" else values.transpose(2, 0, 1)


def _has_many_bits(image: Image.Image) -> bool:
    """Asked of the file: Pillow's own mode is of 8 bits where it has cut more to the high byte."""
    tiles = getattr(image, "tile", ())
    arguments: Any = tiles[0][3] if tiles else None
    match image.format:
        case "PNG":
            return str(arguments).endswith(";16B")
        case "PPM":  # (mode, the largest value)
            return isinstance(arguments, tuple) and len(arguments) == 2 and arguments[1] > 255
        case "TIFF":
            bits, kinds = _tag(image, BITS_PER_SAMPLE), _tag(image, SAMPLE_FORMAT)
            return max(bits, default=1) > 8 or any(kind != 1 for kind in kinds)
    return False  # what else is read has no more


def _has_another_behind(image: Image.Image, content: bytes) -> bool:
    """Of PPM and PGM, which may be put one behind another; Pillow sees the first."""
    if image.format != "PPM":
        return False
    codec, _, start, _ = getattr(image, "tile", [("ppm_plain", (), 0, ())])[0]
    if codec == "ppm_plain":  # as text there is one
        return False
    line = -(-image.width // 8) if image.mode == "1" else image.width * len(image.getbands())
    return content[start + line * image.height :].lstrip()[:1] == b"P"


def _has_unknown_channels(image: Image.Image) -> bool:
    """Beside colours and alpha, as only TIFF has them; Pillow would drop them."""
    extra = _tag(image, EXTRA_SAMPLES) if image.format == "TIFF" else ()
    return len(extra) > 1 or 0 in extra


def _tag(image: Image.Image, number: int) -> tuple[int, ...]:
    value = getattr(image, "tag_v2", {}).get(number, ())
    return value if isinstance(value, tuple) else (value,)


def _opaque(image: Image.Image, name: str) -> Image.Image:
    """Without its alpha channel, if that hides nothing."""
    with_alpha = image.convert("RGBA")
    if np.asarray(with_alpha.getchannel("A")).min() < 255:
        raise InputError(
            f"{name} has transparent pixels; put it on a background first: what is behind them is "
            f"not for fpmc_bench to choose"
        )
    return with_alpha.convert("RGB")


def _damaged(name: str, error: Exception) -> InputError:
    return InputError(f"{name} is cut short or damaged ({error}); fetch it again, or remove it")
