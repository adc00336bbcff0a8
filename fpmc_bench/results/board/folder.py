"""A run directory as `leaderboard add` reads it: what it is of, and its rows."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fpmc_bench.documents.attestation import SUFFIX
from fpmc_bench.documents.failure import Failure, read_failures
from fpmc_bench.documents.identity import of_record
from fpmc_bench.documents.items import ItemValues
from fpmc_bench.documents.manifest import Manifest, read_run_manifest
from fpmc_bench.documents.record import Record, read_records
from fpmc_bench.results.checks import refuse_altered
from fpmc_bench.results.table import RANKED_BY


@dataclass(frozen=True)
class Row:
    """A record, and the values of its items, [items, sigmas] or [items] by metric."""

    record: Record
    values: ItemValues


@dataclass(frozen=True)
class Folder:
    """A run directory. `rows` by ENTRY.PROTOCOL, in the order of files."""

    path: Path
    manifest: Manifest
    rows: Mapping[str, Row]
    failures: tuple[Failure, ...]

    @property
    def shared(self) -> dict[str, Any]:
        """What all rows share: the suite but for its entries, and what the records are on."""
        suite = self.manifest.suite.model_dump(
            mode="json", exclude={"description", "entries", "protocols"}
        )
        of_rows = of_record(next(iter(self.rows.values())).record)
        return {**suite, **of_rows, **self.manifest.identity}

    def files(self, stem: str) -> list[Path]:
        """Those of a row's record, the last of which says that the others are there."""
        base = self.path / "records" / stem
        paths = [base.with_name(f"{stem}{suffix}") for suffix in (".npz", SUFFIX, ".json")]
        return [path for path in paths if path.is_file()]


def read_folder(path: Path) -> Folder:
    """RunError where it is no run directory, or has records that are damaged or were altered."""
    manifest = read_run_manifest(path)
    rows = {record.stem: Row(record, values) for record, values in read_records(path / "records")}
    for row in rows.values():
        refuse_altered(row.record, row.values, RANKED_BY)
    return Folder(path, manifest, rows, read_failures(path))
