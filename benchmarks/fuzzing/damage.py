"""Damage to the bytes of a file, drawn from a seeded generator.

Some of it is what disks and networks do, some what somebody would do who knows the format: a file
within the file (a zip's member, what gzip has packed, the header of a safetensors file) is damaged
and packed again, so that the damage gets beyond the checksums.
"""

import gzip
import io
import random
import re
import warnings
import zipfile
from collections.abc import Callable, Sequence
from random import Random

Damage = Callable[[bytes, Random], bytes]

DEEP = 5_000
"""Levels of nesting: far beyond what any reader that calls itself can follow."""
TOKEN = re.compile(rb"-?\d[\d.eE+-]*|\"[^\"\\\n]{0,60}\"|true|false|null")
ODD_TOKENS = (
    *(b"0", b"-1", b"1e999", b"NaN", b"-Infinity", b"inf", b"99999999999999999999", b"1.5"),
    *(b"true", b"null", b'""', b'"\\ud800"', b'"\xff"', b"[]", b"{}", b"[[]]", b'"NaN"', b'"0"'),
    *(b"2" * 5000, b"1000000000", b"1979-05-27", b'"../../x"', b'"' + b"a" * 100_000 + b'"'),
)
"""What text formats have in place of a number or a name."""
BRACKETS = (b"[", b'{"a":', b"(", b"{", b"a=[", b"]\x85", b"((((")
LENGTHS = (0, 1, 0x7F, 0xFF, 0xFFFF, 2**31 - 1, 2**31, 2**32 - 1, 2**40, 2**63 - 1, 2**64 - 1)
METHODS = (0, 1, 8, 9, 12, 14, 93, 99)
"""Of compression, as zip numbers them."""


def damaged(content: bytes, draw: Random) -> bytes:
    """One to three kinds of damage, one after the other."""
    for _ in range(draw.choice((1, 1, 1, 2, 3))):
        content = draw.choice(_fitting(content))(content, draw)
    return content


def _fitting(content: bytes) -> Sequence[Damage]:
    """What can be done to bytes like these; what knows the format as often as all the rest."""
    kinds: list[Damage] = [_bits, _bytes, _cut, _splice, _length, _nested, _odd_token, _nothing]
    if content[:2] == b"PK":
        return kinds + [_in_zip] * 6 + [_zip_method, _zip_sizes]
    if content[:2] == b"\x1f\x8b":
        return kinds + [_in_gzip] * 8
    if content[8:10] == b'{"':
        return kinds + [_in_safetensors] * 8
    if content[:1].isascii() and b"\0" not in content[:1000]:
        return [*kinds, *[_odd_token] * 6, _nested, _line]
    return kinds


def _place(content: bytes, draw: Random) -> int:
    """Somewhere; often near one of the ends, where formats have their headers."""
    if draw.random() < 0.3:
        return min(draw.randrange(64), len(content))
    if draw.random() < 0.2:
        return max(0, len(content) - draw.randrange(1, 100))
    return draw.randrange(len(content) + 1)


def _bits(content: bytes, draw: Random) -> bytes:
    changed = bytearray(content)
    for _ in range(draw.choice((1, 3, 30)) if content else 0):
        changed[draw.randrange(len(changed))] ^= 1 << draw.randrange(8)
    return bytes(changed)


def _bytes(content: bytes, draw: Random) -> bytes:
    start = _place(content, draw)
    new = draw.randbytes(draw.choice((1, 4, 16, 200)))
    return content[:start] + new + content[start + draw.choice((0, len(new))) :]


def _cut(content: bytes, draw: Random) -> bytes:
    start = _place(content, draw)
    stop = len(content) if draw.random() < 0.7 else start + draw.randrange(1, 100)
    return content[:start] + content[stop:]


def _splice(content: bytes, draw: Random) -> bytes:
    start, target = _place(content, draw), _place(content, draw)
    piece = content[start : start + draw.choice((1, 8, 50, 500))] * draw.choice((1, 1, 2, 1000))
    return content[:target] + piece + content[target + draw.choice((0, len(piece))) :]


def _length(content: bytes, draw: Random) -> bytes:
    """A number of two, four or eight bytes, as lengths and counts are."""
    width, order = draw.choice((2, 4, 8)), draw.choice(("little", "little", "big"))
    number = draw.choice(LENGTHS) % (1 << 8 * width)
    start = _place(content, draw)
    encoded = number.to_bytes(width, "big" if order == "big" else "little")
    return content[:start] + encoded + content[start + width :]


def _nested(content: bytes, draw: Random) -> bytes:
    start = _place(content, draw) if draw.random() < 0.5 else 0
    tokens = list(TOKEN.finditer(content))
    if tokens and draw.random() < 0.5:
        start = draw.choice(tokens).start()
    return content[:start] + draw.choice(BRACKETS) * DEEP + content[start:]


def _odd_token(content: bytes, draw: Random) -> bytes:
    tokens = list(TOKEN.finditer(content))
    if not tokens:
        return _bytes(content, draw)
    chosen = draw.choice(tokens)
    new = draw.choice([*ODD_TOKENS, draw.choice(tokens)[0]])
    return content[: chosen.start()] + new + content[chosen.end() :]


def _line(content: bytes, draw: Random) -> bytes:
    """A line lost, doubled, or moved."""
    lines = content.splitlines(keepends=True) or [b""]
    one = lines.pop(draw.randrange(len(lines)))
    for _ in range(draw.choice((0, 1, 2))):
        lines.insert(draw.randrange(len(lines) + 1), one)
    return b"".join(lines)


def _nothing(content: bytes, draw: Random) -> bytes:
    """An empty file, zeros as a crash leaves them, another encoding, or a web page."""
    others = (b"", bytes(len(content)), b"\xef\xbb\xbf" + content, b"\xff\xfe", b"<html></html>")
    return draw.choice(others)


def _in_zip(content: bytes, draw: Random) -> bytes:
    """A member's content or name, or which members there are."""
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            members = [(one.filename, archive.read(one)) for one in archive.infolist()]
    except Exception:  # damaged already
        return _bits(content, draw)
    if not members:
        return content
    index = draw.randrange(len(members))
    name, inner = members[index]
    members[index] = name, damaged(inner, draw)
    match draw.randrange(6):
        case 0:
            members.pop(index)
        case 1:
            members.insert(draw.randrange(len(members)), (name, inner))
        case 2:
            members[index] = draw.choice(("order.npy", "x", "../x", name + "é", "note.npy")), inner
    output = io.BytesIO()
    method = draw.choice((zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_DEFLATED, 12, 14))
    with warnings.catch_warnings(), zipfile.ZipFile(output, "w", method) as archive:
        warnings.simplefilter("ignore")  # of names that are there twice
        for name, inner in members:
            archive.writestr(name, inner)
    return output.getvalue()


def _zip_method(content: bytes, draw: Random) -> bytes:
    """Another way of compression, in both headers of the members."""
    method = draw.choice(METHODS).to_bytes(2, "little")
    changed = bytearray(content)
    for mark, offset in ((b"PK\x03\x04", 8), (b"PK\x01\x02", 10)):
        start = content.find(mark)
        if 0 <= start < len(content) - 20:
            changed[start + offset : start + offset + 2] = method
    return bytes(changed)


def _zip_sizes(content: bytes, draw: Random) -> bytes:
    """Another size than a member has, once unpacked or as it is packed."""
    start = content.rfind(b"PK\x01\x02")
    if start < 0:
        return content
    at = start + draw.choice((20, 24))
    size = draw.choice((0, 1, 1000, 2**20, 2**31, 2**32 - 1)).to_bytes(4, "little")
    return content[:at] + size + content[at + 4 :]


def _in_gzip(content: bytes, draw: Random) -> bytes:
    try:
        inner = gzip.decompress(content)
    except Exception:  # damaged already
        return _bits(content, draw)
    return gzip.compress(damaged(inner, draw), 1, mtime=0)


def _in_safetensors(content: bytes, draw: Random) -> bytes:
    """The header, which then has the length that it says."""
    length = int.from_bytes(content[:8], "little")
    header = damaged(content[8 : 8 + length], draw)
    return len(header).to_bytes(8, "little") + header + content[8 + length :]


def seeded(seed: int, name: str, number: int) -> Random:
    """The generator of one input of one loader: any of them can be made again by itself."""
    return random.Random(f"{seed}/{name}/{number}")
