"""What a check found: kept, broken, broken as its author says it must be, or not looked at."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

Status = Literal["ok", "FAILED", "expected", "surprise", "not checked"]
"""`expected`: it fails, as `expected_failures` says. `surprise`: it doesn't, though they say so."""


@dataclass(frozen=True)
class Finding:
    """Of one check: its name, what is promised, how it went, why, and a snippet that shows it.

    The snippet is what was run, as a whole program; it ends with the assertion that failed. ""
    where nothing did.
    """

    check: str
    promise: str
    status: Status
    reason: str = ""
    snippet: str = ""


def failed(findings: Sequence[Finding]) -> list[Finding]:
    """Those that are wrong."""
    return [one for one in findings if one.status == "FAILED"]


def told(findings: Sequence[Finding]) -> str:
    """A line each, and how many of each status there are."""
    width = max(len(one.check) for one in findings)
    lines = [
        f"  {one.status:<11}  {one.check:<{width}}  {one.reason or one.promise}" for one in findings
    ]
    statuses = [one.status for one in findings]
    counts = ", ".join(f"{statuses.count(one)} {one}" for one in dict.fromkeys(statuses))
    return "\n".join([*lines, f"  {len(findings)} checks: {counts}"])


def complaint(findings: Sequence[Finding]) -> str:
    """All that is wrong: each with its reason and a program that shows it; "" where nothing is."""
    return "\n\n".join(
        f"{one.check} FAILED: {one.reason}\nThis shows it:\n\n{indented(one.snippet)}"
        for one in failed(findings)
    )


def indented(snippet: str) -> str:
    """By four columns, lines without text left empty."""
    return "\n".join(f"    {line}".rstrip() for line in snippet.splitlines())
