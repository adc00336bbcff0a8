"""Looking at a plugin check by check: each is a program of its own, which can be shown."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from fpmc_bench.catalog.process_state import own_randomness
from fpmc_bench.catalog.strangers import strangers_code
from fpmc_bench.errors import FpmcBenchError, UnknownNameError, UsageError
from fpmc_bench.testing.checks import Check
from fpmc_bench.testing.findings import Finding
from fpmc_bench.testing.programs import PROGRAMS, Conditions, Program
from fpmc_bench.testing.subjects import Subject
from fpmc_bench.testing.watching import SEED, fresh_cache

KEPT = ("ok", "surprise")


def examine(subject: Subject, conditions: Conditions | None = None) -> tuple[Finding, ...]:
    """A finding for every check of this kind of plugin, in order.

    The process is left as it was. UsageError for an `expected_failures` that is none,
    UnknownNameError for one of a check that there isn't, and MissingFilesError where a dataset or a
    network has a file and nobody says where.
    """
    program = PROGRAMS[subject.kind](subject, conditions or Conditions())
    expected = _expected_failures(subject.cls, [one.name for one in program.checks])
    findings: dict[str, Finding] = {}
    for check in program.checks_of(subject.cls):
        findings[check.name] = _finding(check, program, expected, findings)
    return tuple(findings.values())


def _finding(
    check: Check, program: Program, expected: Mapping[str, str], before: Mapping[str, Finding]
) -> Finding:
    broken = [one for one in check.after if one in before and before[one].status not in KEPT]
    if broken:
        first = [one for one in broken if before[one].status in ("FAILED", "expected")] or broken
        reason = f"asks for {', '.join(first)}"
        return Finding(check.name, check.promise, "not checked", reason)
    try:
        fault = _fault(check, program)
    except RefusedError as error:
        return Finding(check.name, check.promise, "not checked", str(error))
    why = expected.get(check.name)
    if fault is None:
        surprise = f"it is kept, though it is said to fail: {why}"
        return Finding(
            check.name, check.promise, "surprise" if why else "ok", surprise if why else ""
        )
    return Finding(
        check.name,
        check.promise,
        "expected" if why else "FAILED",
        why or fault.reason,
        fault.snippet,
    )


@dataclass(frozen=True)
class Fault:
    """Why a check failed, and the program that did."""

    reason: str
    snippet: str


class RefusedError(Exception):
    """A plugin won't be asked in a check's own setting."""


def _fault(check: Check, program: Program) -> Fault | None:
    """The first that is found; None where the promise is kept. Raises RefusedError."""
    for sigma in program.conditions.sigmas if check.by_sigma else (None,):
        statements = program.statements(check, sigma)
        try:
            with _isolated(program.subject.name):
                program.run(statements, check.name)
        except UsageError as error:
            if check.may_refuse:
                raise RefusedError(f"refused: {error}") from error
            reason = _said(error)
        except Exception as error:  # whatever a stranger's plugin raises
            reason = _said(error)
        else:
            continue
        return Fault(reason, program.whole(statements))
    return None


def _said(error: Exception) -> str:
    """In a line."""
    text = " ".join(str(error).split())
    if isinstance(error, AssertionError | FpmcBenchError) and text:
        return text
    return f"{type(error).__name__}: {text}"


@contextmanager
def _isolated(name: str) -> Iterator[None]:
    """Nothing of one check is there in the next; what is changed is put back without a word."""
    with own_randomness(SEED), fresh_cache(), strangers_code(f"'{name}'", lambda _: None):
        yield


def _expected_failures(cls: type[Any], known: Sequence[str]) -> Mapping[str, str]:
    stated = getattr(cls, "expected_failures", {})
    if not isinstance(stated, Mapping) or not all(
        isinstance(reason, str) and reason for reason in stated.values()
    ):
        raise UsageError(
            f"{cls.__name__}.expected_failures must be a dictionary of a check's name and the "
            f"reason why it fails, got {stated!r}"
        )
    for name in stated:
        if name not in known:
            raise UnknownNameError(f"check in {cls.__name__}.expected_failures:", name, known)
    return stated
