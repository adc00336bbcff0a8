"""Keys: short hashes of plain data, that files are named by."""

import hashlib
import json
from typing import Any

KEY_LETTERS = 24


def content_key(content: Any, letters: int = KEY_LETTERS) -> str:
    """The first `letters` of a sha256 of plain data, whatever the order of fields."""
    text = json.dumps(content, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:letters]
