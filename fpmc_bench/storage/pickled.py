"""What a pickle says where it would import or call: values that only name it."""

from dataclasses import dataclass, field
from typing import Any

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

    The text of a container could be endless (lists that hold a list twice, thirty levels deep).
    """
    if isinstance(value, str | int | float | None):
        return repr(value)[:SHOWN]
    return value.name[:SHOWN] if isinstance(value, Node) else f"a {type(value).__name__}"
