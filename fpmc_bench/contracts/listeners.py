"""Listeners: told what a run does while it does it; nothing that they do changes a figure."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from fpmc_bench.contracts.plugin import Plugin
from fpmc_bench.documents.record import Record


@dataclass(frozen=True)
class UnitFinished:
    """A block of `items` of the row ENTRY.PROTOCOL, which took `seconds`.

    `done` of `total` units of all rows are finished now, by all processes together.
    """

    row: str
    items: int
    seconds: float
    done: int
    total: int


class Listener(Plugin):
    """Told of a run that it was chosen for, in the main process; each method may be left out.

    One that raises is said in a line of the log, is told nothing more, and the run goes on.
    """

    citation: ClassVar[str] = ""

    def run_started(self, suite: str, directory: Path, rows: tuple[str, ...]) -> None:
        """Before the first unit: the suite's name, the run directory, and ENTRY.PROTOCOL of all."""

    def unit_finished(self, unit: UnitFinished) -> None:
        """After each unit that the main process has computed itself."""

    def record_saved(self, record: Record) -> None:
        """After the record of a row was written; not of one that was there."""

    def run_ended(self, failures: Mapping[str, str]) -> None:
        """At the end, also of a run that was interrupted: rows that failed, and why."""
