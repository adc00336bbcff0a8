"""What `fpmc-bench cache` says of things: sizes, dates, and what they were made from."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

from tabulate import tabulate

from fpmc_bench.cli.common import UNITS
from fpmc_bench.documents.text import one_line
from fpmc_bench.storage.clearing import in_use
from fpmc_bench.storage.names import SAID_LETTERS, known_names
from fpmc_bench.storage.notations import short_json

if TYPE_CHECKING:
    from fpmc_bench.storage.inventory import Inventory, Kept

LETTERS = 12
"""Of a name or a fingerprint: enough to ask for it by."""
SHOWN_LETTERS = 100
"""Of what a thing was made from, in a table."""
TOLD = 5
"""Things that an error names before it counts the rest."""


def table_of_kinds(found: "Inventory") -> str:
    """How much of each kind there is."""
    rows = []
    for kind, own in found.kinds.items():
        size, used = sum(one.bytes for one in own), max(one.used for one in own)
        rows.append([kind, str(len(own)), size_text(size), date_of(used)])
    return _table(("kind", "things", "size", "last used"), ("left", "right", "right", "left"), rows)


def table_of_things(found: "Inventory", things: "Sequence[Kept]") -> str:
    """Each of them."""
    names = known_names(found.folder)
    rows = []
    for thing in things:
        made_from = cut("; ".join(facts_of(thing.card(), names)), SHOWN_LETTERS)
        rows.append([short_name(thing), size_text(thing.bytes), date_of(thing.used), made_from])
    headers = ("name", "size", "last used", "made from")
    return _table(headers, ("left", "right", "left", "left"), rows)


def _table(headers: Sequence[str], align: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    shown = [[one_line(cell) for cell in row] for row in rows]
    return str(tabulate(shown, headers, "simple", disable_numparse=True, colalign=align))


def explained(found: "Inventory", thing: "Kept") -> str:
    """All of one thing, whose content is read for it."""
    faults = thing.faults()
    rows = {
        "name": [str(thing)],
        "size": [size_text(thing.bytes)],
        "files": [str(file.path) for file in thing.content],
        "made": [date_of(thing.made)],
        "last used": [date_of(thing.used)],
        "made from": facts_of(thing.card(), known_names(found.folder)) or ["it does not say"],
        "holds": [line for file in thing.content for line in (() if faults else file.holds())],
        "whole": faults or ["yes, by its digest"],
        "in use": ["a process makes it or reads it now" if in_use(thing) else "not at this moment"],
        "needed by": ["nothing refers to it: whoever wants the same next makes it anew"],
    }
    lines = [
        ("" if number else label, one_line(text))
        for label, texts in rows.items()
        for number, text in enumerate(texts)
    ]
    return str(tabulate(lines, tablefmt="plain", disable_numparse=True))


def size_text(size: int) -> str:
    """Bytes for people: 12 B, 3.4 MiB."""
    unit = max((one for one in UNITS if UNITS[one] <= size), key=UNITS.__getitem__, default="B")
    return f"{size} B" if unit == "B" else f"{size / UNITS[unit]:.1f} {unit}"


def facts_of(card: Mapping[str, Any], names: Mapping[str, str]) -> list[str]:
    """What a thing was made from, a line each, as people say it; without its kind and what is none.

    First what has a name, then texts, numbers and what has parts.
    """
    said = []
    for key, value in card.items():
        for inner, one in value.items() if isinstance(value, dict) else [("", value)]:
            if (inner or key != "kind") and one not in ("", None):
                named = isinstance(one, str) and one[:SAID_LETTERS] in names
                rank = 0 if named else 1 if isinstance(one, str) else 2
                rank += isinstance(one, dict | list)
                said.append((rank, f"{inner or key} {_called(one, names)}"))
    return [text for _, text in sorted(said, key=lambda one: one[0])]


def _called(value: Any, names: Mapping[str, str]) -> str:
    """Plain data; a fingerprint by the name of what it is of, where that is known."""
    if isinstance(value, float):
        return f"{value:g}"
    if not isinstance(value, str):
        return short_json(value)
    if name := names.get(value[:SAID_LETTERS]):
        return f"{name} ({value[:LETTERS]})"
    return cut(value, SHOWN_LETTERS)


def short_name(thing: "Kept") -> str:
    """Its kind, and enough of its name."""
    return one_line(f"{thing.kind}/{thing.name[:LETTERS]}")


def cut(text: str, letters: int) -> str:
    """So many of its letters at most."""
    return text if len(text) <= letters else f"{text[: letters - 3]}..."


def date_of(seconds: float) -> str:
    """Since 1970 -> where the reader is; a disk may say anything."""
    try:
        return datetime.fromtimestamp(seconds).strftime("%Y-%m-%d %H:%M")
    except (OverflowError, OSError, ValueError):
        return "?"


def told(things: "Sequence[Kept]") -> str:
    """The first few of them."""
    rest = len(things) - TOLD
    return ", ".join(map(str, things[:TOLD])) + (f" and {rest} more" if rest > 0 else "")


def counted(things: "Sequence[Kept]") -> str:
    """How many, and what they take."""
    plural = "" if len(things) == 1 else "s"
    return f"{len(things)} thing{plural}, {size_text(sum(one.bytes for one in things))}"


def plain(found: "Inventory", things: "Sequence[Kept]") -> dict[str, Any]:
    """What `--json` prints of these things."""
    names = known_names(found.folder)
    return {
        "folder": one_line(str(found.folder)),
        "bytes": sum(thing.bytes for thing in things),
        "things": [
            {
                "kind": one_line(thing.kind),
                "name": thing.name,
                "bytes": thing.bytes,
                "files": [one_line(str(file.path)) for file in thing.content],
                "made": date_of(thing.made),
                "used": date_of(thing.used),
                "card": (card := thing.card()),
                "made_from": facts_of(card, names),
            }
            for thing in things
        ],
        "others": {
            "files": len(found.others),
            "bytes": sum(file.bytes for file in found.others),
        },
        "unseen": [one_line(text) for text in found.unseen],
    }
