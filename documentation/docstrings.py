"""Docstrings as Markdown: what is indented in them is set as it stands, as in a terminal."""

from typing import Any

import griffe

HOW_IT_IS_MADE = {"__post_init__", "__reduce__", "__getstate__", "__setstate__"}
"""Methods that Python calls, of which a reader wants to know nothing."""


class AsShown(griffe.Extension):
    """What is read, less what only Python reads.

    With a blank line between a line and what is indented below it, without which they are one.
    """

    def on_package(self, *, pkg: griffe.Module, **_: Any) -> None:
        """Of the package, which is nobody's member."""
        self.on_object(obj=pkg)

    def on_object(self, *, obj: griffe.Object, **_: Any) -> None:
        """Of every member."""
        if obj.docstring:
            obj.docstring.value = as_blocks(obj.docstring.value)

    def on_class(self, *, cls: griffe.Class, **_: Any) -> None:
        """Of every class."""
        for name in HOW_IT_IS_MADE & set(cls.members):
            cls.del_member(name)


def as_blocks(docstring: str) -> str:
    """A docstring in which every indented block begins after a blank line."""
    lines: list[str] = []
    for line in docstring.splitlines():
        indented = line.startswith("    ")
        if indented and lines and lines[-1].strip() and not lines[-1].startswith("    "):
            lines.append("")
        lines.append(line)
    return "\n".join(lines)
