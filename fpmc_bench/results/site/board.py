"""A leaderboard's folder as a value: all that its pages show, read once and checked."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from fpmc_bench.documents.attestation import Attestation, read_attestations
from fpmc_bench.documents.failure import read_failures
from fpmc_bench.documents.items import ItemValues
from fpmc_bench.documents.manifest import MANIFEST, read_run_manifest
from fpmc_bench.documents.record import Record, read_records, records_folder
from fpmc_bench.documents.suite import Suite
from fpmc_bench.errors import RunError
from fpmc_bench.results.render.sample_grid import read_samples
from fpmc_bench.results.site.slugs import slug
from fpmc_bench.results.table import Table, build_tables
from fpmc_bench.results.trajectories import TRAJECTORIES, Trajectories, read_trajectories

Samples = Mapping[str, NDArray[np.floating]]
"""Label -> [n,C,H,W] in [-1, 1], the reference first."""


@dataclass(frozen=True, eq=False)
class Board:
    """One leaderboard.

    `name` is its folder's, by which commands call it; `suite` is None where no run.json says it.
    `records` are by entry and protocol, `attestations` by the stem of their record, `samples` by
    protocol.
    """

    name: str
    directory: Path
    suite: Suite | None
    tables: tuple[Table, ...]
    records: Mapping[tuple[str, str], tuple[Record, ItemValues]]
    attestations: Mapping[str, Attestation]
    samples: Mapping[str, Samples]
    trajectories: Trajectories | None

    @property
    def title(self) -> str:
        return self.tables[0].suite

    @property
    def records_folder(self) -> Path:
        """Where its records lie."""
        return records_folder(self.directory)

    @property
    def slug(self) -> str:
        return slug(self.name)

    @property
    def entries(self) -> tuple[str, ...]:
        """Every row's name once, in the order of the tables."""
        return tuple(dict.fromkeys(row.entry for table in self.tables for row in table.rows))

    @property
    def date(self) -> str:
        """Of the last unit of any record, as 2026-11-28."""
        return max(record.publication.date_utc for record, _ in self.records.values())[:10]

    def ranked(self, rows: Iterable[str]) -> list[str]:
        """Labels of images, of which the first is the reference's, the others as tables have them.

        The order is that of the last table, and labels that have no row stand last.
        """
        reference, *others = rows
        places = {row.entry: place for place, row in enumerate(self.tables[-1].rows)}
        return [reference, *sorted(others, key=lambda label: places.get(label, len(places)))]

    def tables_of(self, entry: str) -> list[Table]:
        """Those in which it has a row."""
        return [table for table in self.tables if (entry, table.protocol) in self.records]

    def values(self, entry: str, protocol: str) -> ItemValues:
        """Its per-item values, [items,S] or [items] by metric."""
        return self.records[entry, protocol][1]

    def entry_path(self, entry: str) -> str:
        """Of its page, inside the leaderboard's own folder."""
        return f"entries/{slug(entry)}.html"


def read_boards(directory: Path) -> list[Board]:
    """Of a folder of leaderboards, by name, or of a single one, or of a folder of records.

    RunError where there is none, and as `read_board`.
    """
    if _has_records(directory):
        return [read_board(directory)]
    found = [path for path in sorted(directory.iterdir()) if _has_records(path)]
    if not found and any(directory.glob("*.json")):
        return [read_board(directory)]
    if not found:
        raise RunError(
            f"no leaderboard in {directory}: neither it nor a folder in it has records/*.json; "
            f"'fpmc-bench run SUITE --run-dir {directory / 'SUITE'}' makes one"
        )
    return [read_board(path) for path in found]


def read_board(directory: Path) -> Board:
    """One leaderboard's folder; RunError where anything in it is damaged, altered or mixed."""
    folder = records_folder(directory)
    records = read_records(folder)
    attestations = read_attestations(folder)
    tables = build_tables(records, read_failures(directory), attestations)
    samples, trajectories = directory / "samples", directory / "samples" / TRAJECTORIES
    return Board(
        name=directory.resolve().name,
        directory=directory,
        suite=_suite(directory, tables[0].suite_fingerprint),
        tables=tables,
        records={(record.entry, record.protocol): (record, values) for record, values in records},
        attestations=attestations,
        samples={
            table.protocol: read_samples(path)
            for table in tables
            if (path := samples / f"{table.protocol}.npz").is_file()
        },
        trajectories=read_trajectories(trajectories) if trajectories.is_file() else None,
    )


def _has_records(directory: Path) -> bool:
    return any((directory / "records").glob("*.json"))


def _suite(directory: Path, fingerprint: str) -> Suite | None:
    """What run.json says was run; RunError where it is damaged, or is another suite's."""
    path = directory / MANIFEST
    if not path.is_file():
        return None
    suite = read_run_manifest(directory).suite
    if suite.fingerprint != fingerprint:
        raise RunError(
            f"{path} is of suite {suite.name} ({suite.fingerprint[:12]}), and the records beside "
            f"it are of another ({fingerprint[:12]}); remove what does not belong there"
        )
    return suite
