"""Text that strangers wrote, where it is shown: it shows itself and does nothing else."""

import unicodedata

OBEYED = {"Cc", "Cf", "Cs", "Zl", "Zp"}
"""Unicode's categories of what a terminal obeys, what hides or reorders others, and halves."""


def printable(text: str) -> str:
    """The text with its control characters as their codes: \\x1b, \\u202e. Lines stay lines."""
    return "".join(one if one in "\n\t" else _shown(one) for one in text)


def one_line(text: str) -> str:
    """The same with line breaks and tabs as codes, too: a name takes one line of one cell."""
    return "".join(map(_shown, text))


def _shown(character: str) -> str:
    if unicodedata.category(character) not in OBEYED:
        return character
    return character.encode("unicode_escape").decode()
