"""Small facts that are kept for later, as JSON: with their name, what they are of, and a digest.

As of tensors (`storage.kept`), one that is not what its name says is said and made anew.
"""

import json
import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from fpmc_bench.storage.atomic import write_atomically
from fpmc_bench.storage.keys import content_key
from fpmc_bench.storage.notations import parsed_json

log = logging.getLogger(__name__)
DIGEST = "sha256"


def keep_note(path: Path, content: Any, card: Mapping[str, Any]) -> None:
    """Write plain data and what it is of, whole or not at all. DiskError where that can't be."""
    note = {"name": path.name, "card": dict(card), "content": content}
    text = json.dumps({**note, DIGEST: content_key(note)}, sort_keys=True)
    write_atomically(path, text.encode("ascii"))


def kept_note(path: Path) -> Any:
    """What `keep_note` put there; None where there is nothing, or nothing to be believed.

    Of a damaged one a line of the log says so.
    """
    try:
        return read_note(path)[0]
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        log.warning("%s is damaged (%s); it is made anew", path, error)
        return None


def read_note(path: Path) -> tuple[Any, dict[str, Any]]:
    """Content and card of a note; OSError, or ValueError for what is none of this name."""
    note = parsed_json(path.read_bytes())
    if not isinstance(note, dict) or not isinstance(note.get("card"), dict):
        raise ValueError("it is no note of what it is of")
    if note.pop(DIGEST, None) != content_key(note):
        raise ValueError("its content is not what was written there")
    if note.get("name") != path.name:
        raise ValueError(f"it was written as {note.get('name')}")
    return note.get("content"), note["card"]
