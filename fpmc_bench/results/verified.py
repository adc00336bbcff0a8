"""What verifying found: row by row whether items computed anew are those of the record."""

import textwrap
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import groupby
from typing import Any

from fpmc_bench.documents.attestation import UNIT

MOST_ITEMS_TOLD = 10
MOST_ROWS_TOLD = 3
WIDTH_COLUMNS = 100


@dataclass(frozen=True)
class VerifiedRow:
    """One row: `items` were compared, of which `apart` differ by more than the tolerance."""

    entry: str
    protocol: str
    items: tuple[int, ...] = ()
    apart: tuple[int, ...] = ()
    largest_difference: float = 0.0
    worst: str = ""
    """Where the largest difference is, and what the record has there, if any item is apart."""
    fault: str = ""
    """Why nothing could be compared, in a line; empty where something was."""
    remarks: tuple[str, ...] = ()

    @property
    def agrees(self) -> bool:
        return not self.fault and not self.apart

    @property
    def line(self) -> str:
        """`els (sample-mse): 50 of 50 items agree, largest difference 2e-05`, or what is wrong."""
        name = f"{self.entry} ({self.protocol})"
        if self.fault:
            return f"{name}: {self.fault}"
        count = len(self.items)
        told = f"{name}: {count - len(self.apart)} of {count} items agree, largest difference "
        told += f"{self.largest_difference:.1g}"
        if not self.apart:
            return told
        shown = ", ".join(map(str, self.apart[:MOST_ITEMS_TOLD]))
        return f"{told}; not {shown}{_more(self.apart, MOST_ITEMS_TOLD)}: {self.worst}"


@dataclass(frozen=True)
class Verification:
    """All rows that were asked for. `items` are the ranges that `seed` chose, the same of all."""

    suite: str
    seed: int
    items: tuple[tuple[int, int], ...]
    tolerance: float
    rows: tuple[VerifiedRow, ...]
    is_main: bool = True
    """Whether this process speaks for all that shared the work."""
    attested: tuple[str, ...] = field(default=())
    """Files that were written."""

    @property
    def agrees(self) -> bool:
        """Whether all rows do, and there is one."""
        return bool(self.rows) and all(row.agrees for row in self.rows)

    @property
    def text(self) -> str:
        """For a terminal: what was compared, a line a row, and what was otherwise here."""
        ranges = ", ".join(f"{start} to {stop - 1}" for start, stop in self.items)
        head = [
            f"suite {self.suite}: items {ranges}, chosen by --seed {self.seed}",
            f"an item agrees where its errors differ by at most {self.tolerance:g} of {UNIT}",
        ]
        told, remarks = head if self.items else [], self._remarks()
        before, after = (
            [textwrap.fill(line, WIDTH_COLUMNS) for line in lines] for lines in (told, remarks)
        )
        if self.attested:
            after.append(
                f"attestations written: {len(self.attested)}; tables have them from the next "
                f"'fpmc-bench leaderboard render DIRECTORY --write' on"
            )
        return "\n".join([*before, *(row.line for row in self.rows), *after])

    def _remarks(self) -> list[str]:
        """Each once, with the rows that it is on, or how many."""
        rows: dict[str, list[str]] = {}
        for row in self.rows:
            for remark in row.remarks:
                rows.setdefault(remark, []).append(f"{row.entry} ({row.protocol})")
        return [
            f"{', '.join(names[:MOST_ROWS_TOLD])}{_more(names, MOST_ROWS_TOLD)}: {remark}"
            for remark, names in rows.items()
        ]

    @property
    def plain(self) -> dict[str, Any]:
        """As JSON has it."""
        return {
            "suite": self.suite,
            "seed": self.seed,
            "items": [list(one) for one in self.items],
            "tolerance": self.tolerance,
            "unit": UNIT,
            "agrees": self.agrees,
            "rows": [
                {
                    "entry": row.entry,
                    "protocol": row.protocol,
                    "agrees": row.agrees,
                    "compared": len(row.items),
                    "apart": list(row.apart),
                    "largest_difference": None if row.fault else row.largest_difference,
                    "worst": row.worst,
                    "fault": row.fault,
                    "remarks": list(row.remarks),
                }
                for row in self.rows
            ],
            "attested": list(self.attested),
        }


def _more(all_of_them: Sequence[object], told: int) -> str:
    return f" and {len(all_of_them) - told} more" if len(all_of_them) > told else ""


def ranges_of(blocks: Sequence[range]) -> tuple[tuple[int, int], ...]:
    """Ascending blocks that meet are one range."""
    numbered = enumerate(item for block in blocks for item in block)
    runs = [
        [item for _, item in run]
        for _, run in groupby(numbered, key=lambda pair: pair[1] - pair[0])
    ]
    return tuple((run[0], run[-1] + 1) for run in runs)
