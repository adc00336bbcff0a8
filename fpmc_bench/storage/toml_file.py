"""TOML files as editors and shells of all systems write them; what is none says what it is."""

from pathlib import Path
from typing import Any

from fpmc_bench.errors import UsageError
from fpmc_bench.storage.notations import parsed_toml

UTF16 = (b"\xff\xfe", b"\xfe\xff")
BACKSLASHES = (
    "in TOML a backslash inside double quotes begins a code, as \\n: write a path with / or \\\\, "
    "or put it into single quotes"
)


def toml_content(path: Path, what: str) -> dict[str, Any]:
    """What is in a TOML file; `what` it should be, as "suite", for errors.

    UTF-8, with or without a byte-order mark. UsageError that names the file, what it is instead,
    and what to do.
    """
    text = _text(path, what)
    try:
        return parsed_toml(text)
    except ValueError as error:
        hint = f"; {BACKSLASHES}" if _in_backslashes(text, error) else ""
        raise UsageError(f"{path} is not valid TOML: {error}{hint}") from error


def refuse_codes(path: Path, text: str) -> None:
    r"""UsageError for a path in a TOML file with a control character: "C:\new" has one."""
    if not text.isprintable():
        raise UsageError(f"{path} has the path {text!r}: {BACKSLASHES}")


def _text(path: Path, what: str) -> str:
    try:
        content = path.read_bytes()
    except FileNotFoundError as error:
        raise UsageError(f"no {what} file at {path}") from error
    except IsADirectoryError as error:
        instead = f"{path} is a folder, not a {what}; give the path of a .toml file"
        raise UsageError(instead) from error
    except (OSError, ValueError) as error:  # a name that no file can have is a ValueError
        reason = getattr(error, "strerror", None) or error
        raise UsageError(f"{path} can't be read: {reason}") from error
    if content.startswith(UTF16) or b"\0" in content:
        raise UsageError(
            f"{path} is UTF-16, as PowerShell's > writes it, or no text: save it as UTF-8 "
            f"(PowerShell: Set-Content -Encoding utf8)"
        )
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise UsageError(
            f"{path} is not UTF-8, but perhaps of a Windows code page (byte "
            f"0x{content[error.start]:02x} in line {line}): save it as UTF-8"
        ) from error


def _in_backslashes(text: str, error: ValueError) -> bool:
    """Whether the fault is in a line that has a backslash; its number is in the error's text."""
    _, _, place = str(error).partition("(at line ")
    number = place.partition(",")[0]
    lines = text.splitlines()
    return number.isdigit() and "\\" in lines[min(int(number), len(lines)) - 1]
