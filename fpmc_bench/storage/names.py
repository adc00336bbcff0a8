"""What a person calls the things whose fingerprints keys hold: kept in the cache, for `cache list`.

Images and networks are told apart by their content, and say nothing to a reader of a key. Whoever
loads one by a name notes that here; nothing depends on it.
"""

from collections.abc import Mapping
from pathlib import Path

from fpmc_bench.storage.cache import cache_folder
from fpmc_bench.storage.keys import content_key
from fpmc_bench.storage.notes import keep_note, read_note

KIND = "names"
SAID_LETTERS = 24
"""Of a fingerprint, by which it is found: keys may hold no more of it."""


def remember_names(names: Mapping[str, str]) -> None:
    """Fingerprint -> name; the first that a thing was given stays. Raises as `cache_folder`."""
    folder = cache_folder(KIND)
    for fingerprint, name in names.items():
        path = folder / f"{content_key(fingerprint, letters=32)}.json"
        if not path.exists():
            keep_note(path, name, {"fingerprint": fingerprint})


def known_names(folder: Path) -> dict[str, str]:
    """The first letters of each fingerprint that a cache's folder knows by name -> that name.

    Of files whose content was hashed it is where they lay.
    """
    names = {}
    for path in (*folder.glob("images/known/*.json"), *folder.glob(f"{KIND}/*.json")):
        try:
            content, card = read_note(path)
        except (OSError, ValueError):
            continue  # who looks for damage finds it
        fingerprint, name = (
            (card.get("fingerprint"), content)
            if path.parent.name == KIND
            else (content, card.get("path"))
        )
        if isinstance(fingerprint, str) and isinstance(name, str):
            names[fingerprint[:SAID_LETTERS]] = name
    return names
