"""Keys: short hashes of plain data, that files are named by."""

import hashlib
import json
from collections.abc import Mapping
from typing import Any

KEY_LETTERS = 24


def content_key(content: Mapping[str, Any]) -> str:
    """A short sha256 of plain data, whatever the order of its fields."""
    text = json.dumps(content, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:KEY_LETTERS]
