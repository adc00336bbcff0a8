"""What a pickle says where it would import or call: values that only name it."""

from dataclasses import dataclass, field
from typing import Any

ENCODE = "_codecs.encode"
"""What Python 3 calls for bytes in a pickle that Python 2 can read: text, a code point a byte."""
SHOWN = 80
"""How many characters of a file's own text an error repeats."""


@dataclass(frozen=True)
class Name:
    """What the pickle would have imported, as `module.name`."""

    text: str


@dataclass(eq=False)
class Node:
    """What the pickle would have called: the name, its arguments and the state set afterwards."""

    name: str
    args: tuple[Any, ...]
    state: Any = None
    items: dict[Any, Any] = field(default_factory=dict)


@dataclass(frozen=True, eq=False)
class Persistent:
    """What the pickle refers to outside itself (the storages of a torch.save stream)."""

    key: Any


def shown(value: Any) -> str:
    """A value of a file in an error: short, and of a container only what it is.

    The text of a container could be endless (lists that hold a list twice, nested thirty deep).
    """
    if isinstance(value, str | int | float | None):
        return repr(value)[:SHOWN]
    return value.name[:SHOWN] if isinstance(value, Node) else f"a {type(value).__name__}"


def text_of(value: Any) -> str | None:
    """Text, or the text that has a code point for each byte of bytes; None of anything else."""
    if isinstance(value, bytes):
        return value.decode("latin1")
    if isinstance(value, Node) and value.name == ENCODE and value.args[1:] == ("latin1",):
        value = value.args[0]
    return value if isinstance(value, str) else None


def bytes_of(value: Any) -> bytes | None:
    """Bytes as such, or from the text that stands for them; None of anything else."""
    if isinstance(value, bytes):
        return value
    text = text_of(value)
    try:
        # of text only, and by an encoding of ours: nothing that a file names is called
        return None if text is None else text.encode("latin1")
    except UnicodeEncodeError:
        return None
