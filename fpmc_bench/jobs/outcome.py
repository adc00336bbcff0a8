"""What a run leaves, for whoever goes on with it in Python."""

from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING

from fpmc_bench.documents.record import Record
from fpmc_bench.errors import UsageError
from fpmc_bench.results.reading import read_tables
from fpmc_bench.results.table import Table

if TYPE_CHECKING:
    import pandas as pd


class ShownTable(Table):
    """A table that a notebook shows as one, and `print` as a terminal has it."""

    def __str__(self) -> str:
        from fpmc_bench.results.render.terminal import render_terminal

        return render_terminal(self)

    def _repr_html_(self) -> str:
        from fpmc_bench.results.render.html import render_html

        return render_html(self)


@dataclass(frozen=True)
class RunOutcome:
    """What a run leaves: its directory, the records of what it was asked for, and the failures.

    A notebook shows it as the tables of the directory, which have the rows of earlier runs too.
    """

    directory: Path
    records: tuple[Record, ...]
    failures: dict[str, str]
    """`entry.protocol` -> traceback, or why else a row has no record."""
    is_main: bool

    def tables(self) -> tuple[Table, ...]:
        """One a protocol, of all records in the directory; none where it has no records."""
        if not any((self.directory / "records").glob("*.json")):
            return ()
        return read_tables(self.directory)

    def table(self, protocol: str | None = None) -> ShownTable:
        """That of one protocol, or the only one.

        UsageError where there are several to choose from; RunError where there are no records.
        """
        found = read_tables(self.directory, protocol)
        if len(found) > 1:
            known = " or ".join(f"table('{one.protocol}')" for one in found)
            raise UsageError(f"this run has {len(found)} tables: choose by {known}")
        return ShownTable(**vars(found[0]))

    def to_frame(self, *, by_sigma: bool = False) -> "pd.DataFrame":
        """A line a row and protocol, as tables/*.csv have it: figures `mse`, errors `mse_se`.

        With `by_sigma` the errors at every noise level, a line each. RunError where there are no
        records.
        """
        from fpmc_bench.results.render.csv import levels_frame, rows_frame

        found = read_tables(self.directory)
        return levels_frame(*found) if by_sigma else rows_frame(*found)

    def __repr__(self) -> str:
        failed = f", {len(self.failures)} failed" if self.failures else ""
        return f"RunOutcome({self.directory}: {len(self.records)} records{failed})"

    def _repr_html_(self) -> str:
        """For a notebook: the tables, in which rows that failed come last."""
        from fpmc_bench.results.render.html import render_html

        return render_html(*self.tables()) or escape(repr(self))
