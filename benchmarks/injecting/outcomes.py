"""A fault as a value: what is done, how often, and what has to come of it."""

from collections.abc import Callable
from dataclasses import dataclass

from injecting.workplace import Workplace

IDENTICAL = "identical"


class BrokenPromiseError(Exception):
    """A promise that was not kept: what was seen instead."""


class UntriedError(Exception):
    """Why a fault can't be made on this machine."""


@dataclass(frozen=True)
class Outcome:
    """What came of a fault, each of `n` times."""

    n: int
    what: str
    """As "goes on", "refused": what the run did, with numbers where there are some."""
    records: str
    """How they compare with those of an undisturbed run, in a word or two."""
    message: str = ""
    """What was said, where the fault is one that a run can notice."""


@dataclass(frozen=True)
class Fault:
    """Something that is done to a run: `done` tells what, as the table has it; `inject` does it.

    It raises BrokenPromiseError where something else came of it than has to, and UntriedError where
    it can't be done on this machine.
    """

    done: str
    inject: Callable[[Workplace], Outcome]
    crowded: bool = False
    """Whether it keeps all cores busy, and nothing should be done beside it."""


def expect(kept: object, otherwise: str) -> None:
    """BrokenPromiseError, with what was seen `otherwise`, where a promise was not kept."""
    if not kept:
        raise BrokenPromiseError(otherwise)
