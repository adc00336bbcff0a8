"""Names as parts of addresses: whatever they hold, safe in any file system and any link."""

import hashlib
import re
import unicodedata

PLAIN = re.compile(r"[a-z0-9]+(?:[-._][a-z0-9]+)*")
RESERVED = re.compile(r"(?:con|prn|aux|nul|com[0-9]|lpt[0-9]|index)(?:\..*)?")
"""Names that Windows keeps for devices, and that of a folder's own page."""
LONGEST = 60
HASH_LETTERS = 8


def slug(name: str) -> str:
    """Of lower-case letters, digits, "-", "." and "_": the same for a name always, two for two.

    A plain name is its own; of another one a hash tells it from all that look alike.
    """
    if PLAIN.fullmatch(name) and not RESERVED.fullmatch(name) and len(name) <= LONGEST:
        return name
    ascii_name = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode().lower()
    plain = re.sub(r"[^a-z0-9]+", "-", ascii_name).strip("-")[:LONGEST]
    digest = hashlib.sha256(name.encode("utf-8", "surrogatepass")).hexdigest()[:HASH_LETTERS]
    return f"{plain}-{digest}".strip("-")
