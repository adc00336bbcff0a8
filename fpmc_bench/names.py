"""Names of rows, which become names of files: their characters and their length are bounded."""

import hashlib
import re

LONGEST = 80


def row_name(text: str) -> str:
    """Any text as the name of a row: others of its characters become "-".

    One that is too long for a file's name is cut, and told from others by a hash of the whole.
    """
    plain = re.sub(r"[^A-Za-z0-9._+-]+", "-", text).strip("-")
    if not plain or not plain[0].isalnum():
        plain = f"row{plain}"
    if len(plain) <= LONGEST:
        return plain
    return f"{plain[:LONGEST]}-{hashlib.sha256(text.encode()).hexdigest()[:8]}"
