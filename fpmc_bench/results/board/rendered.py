"""Tables and figures that lie in a leaderboard's folder, held against those drawn anew.

A table is compared as text. A figure may be other bytes and yet be the same: by another zlib, by
another processor's last bits, by another version of what draws it. So it is compared as it is seen,
pixels or lines, where the same version has drawn it; and by the key of what it was drawn from
(`render/origin.py`), where that was another one. Then its pixels are not compared, which is a note.
"""

import io
import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image

from fpmc_bench.errors import RunError
from fpmc_bench.results.board.findings import Finding
from fpmc_bench.results.render.optional import load_matplotlib
from fpmc_bench.results.render.origin import Origin, origin_of

RELATIVE = 1e-9
"""Between numbers of a table, which another processor may round otherwise in the last bit."""
POINTS, CODES = 0.01, 2
"""Between places in an SVG, in points, and codes of 255 in a PNG: nothing that is seen."""
MOST_BYTES, MOST_PIXELS = 2**26, 2**27
"""Of a figure."""
NUMBER = re.compile(r"[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?")
NAMED = re.compile(r"\b(?:image|[a-zA-Z]+)[0-9a-f]{10}\b")
"""What matplotlib names by a hash of its places: equal things are named alike in one file."""


def table_fault(text: str, path: Path, remedy: str) -> str | None:
    """What is wrong with a table's file that should have this text; None where nothing is."""
    try:
        there = path.read_bytes().decode()
    except FileNotFoundError:
        return f"it is not there; {remedy}"
    except (OSError, ValueError) as error:
        return f"it can't be read ({error}); {remedy}"
    if there == text or _same_text(there, text, relative=RELATIVE):
        return None
    lines = zip(there.split("\n"), text.split("\n"), strict=False)
    at = next((k for k, (a, b) in enumerate(lines, 1) if a != b), None)
    where = f"line {at} is not what these records give" if at else "it is longer, or shorter"
    return f"{where}; {remedy}"


def figure_finding(
    name: str, draw: Callable[[], bytes], directory: Path, remedy: str
) -> tuple[Finding | None, Finding | None]:
    """A fault and a note of a figure's file, where there is one; no RunError, but a fault."""
    path = directory / name
    if not path.is_file():
        return Finding(name, f"it is not there; {remedy}"), None
    try:
        load_matplotlib()
        expected = draw()
    except Exception as error:  # fonts, settings, a damaged installation: whatever it is
        text = f"it could not be drawn here ({type(error).__name__}: {error}) and compared"
        return None, Finding(name, text)
    try:
        there = _content(path)
        if there == expected:
            return None, None
        said, ours = origin_of(there), origin_of(expected)
        if said.key != ours.key:
            return Finding(name, f"it was drawn from other numbers than these; {remedy}"), None
        if said.software != ours.software:
            return None, Finding(name, _not_compared(said, ours, remedy))
        if not _looks_alike(there, expected):
            return Finding(name, f"it is not what these records give; {remedy}"), None
    except RunError as error:
        return Finding(name, f"{error}; {remedy}"), None
    return None, None


def _not_compared(said: Origin, ours: Origin, remedy: str) -> str:
    return (
        f"it says that it was drawn from these numbers, by {said.software or 'nothing known'}; "
        f"here is {ours.software}, so its looks were not compared; {remedy}"
    )


def _content(path: Path) -> bytes:
    if path.stat().st_size > MOST_BYTES:
        raise RunError(f"it is larger than {MOST_BYTES} bytes, which no figure is")
    try:
        return path.read_bytes()
    except OSError as error:
        raise RunError(f"it can't be read ({error.strerror or error})") from error


def _looks_alike(a: bytes, b: bytes) -> bool:
    """Two PNGs or two SVGs."""
    pictures = [one.startswith(b"\x89PNG") for one in (a, b)]
    if any(pictures):
        return all(pictures) and _same_pixels(a, b)
    texts = [_without_hashes(one.decode("utf-8", "replace")) for one in (a, b)]
    return _same_text(texts[0], texts[1], absolute=POINTS)


def _same_pixels(a: bytes, b: bytes) -> bool:
    try:
        images = [Image.open(io.BytesIO(one), formats=["PNG"]) for one in (a, b)]
        if images[0].size != images[1].size or np.prod(images[0].size) > MOST_PIXELS:
            return False
        first, second = (np.asarray(one.convert("RGBA"), dtype=np.int16) for one in images)
    except Exception as error:  # damage makes Pillow raise anything
        raise RunError(f"it is no PNG ({type(error).__name__}: {error})") from error
    return bool((np.abs(first - second) <= CODES).all())


def _same_text(a: str, b: str, relative: float = 0, absolute: float = 0) -> bool:
    """But for numbers that are nearly alike."""
    if NUMBER.sub("0", a) != NUMBER.sub("0", b):
        return False
    first, second = (np.array(NUMBER.findall(text), dtype=np.float64) for text in (a, b))
    return bool(np.allclose(first, second, rtol=relative, atol=absolute))


def _without_hashes(svg: str) -> str:
    """Names made of hashes, which last bits change, by the order in which they appear."""
    order: dict[str, int] = {}
    return NAMED.sub(lambda one: f"name{order.setdefault(one[0], len(order))}", svg)
