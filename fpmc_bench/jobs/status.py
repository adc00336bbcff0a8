"""status: how far the command is that works in a folder, or how it ended, without joining it."""

from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, Literal

from fpmc_bench.documents.failure import read_failures
from fpmc_bench.documents.manifest import MANIFEST, read_run_manifest
from fpmc_bench.documents.status import STATUS, Status, read_status
from fpmc_bench.errors import RunError, UsageError
from fpmc_bench.results.render.status import head_line, row_lines, table_lines
from fpmc_bench.storage.folders import LOCK, is_held
from fpmc_bench.telling.times import span

STUDY = "study.json"
UNFINISHED = ".finetuning"
SILENT_SECONDS = 60
"""Without a word of a command at work, until that is worth one."""
Standing = Literal["running", "beginning", "finished", "stopped", "killed", "unknown"]


@dataclass(frozen=True)
class FolderStatus:
    """Of a folder that a command works in, or has worked in.

    `at_work`: whether one holds it now; None where that can't be told. `rows` is what is known
    without a status: ENTRY.PROTOCOL -> record, no record, or a failure; `units` are of the ledger.
    """

    folder: Path
    at_work: bool | None
    status: Status | None
    rows: dict[str, str] = field(default_factory=dict)
    units: int = 0
    faults: tuple[str, ...] = ()

    @property
    def standing(self) -> Standing:
        """What the status says, and what the lock adds."""
        said = self.status.state if self.status else "unknown"
        if self.at_work:
            return "running" if said == "running" else "beginning"
        if said == "running":
            return "killed" if self.at_work is False else "unknown"
        return said

    @property
    def plain(self) -> dict[str, Any]:
        """For programs."""
        return {
            "folder": str(self.folder),
            "standing": self.standing,
            "status": self.status and self.status.model_dump(mode="json"),
            "rows_by_records": self.rows,
            "units_in_ledger": self.units,
            "faults": list(self.faults),
        }

    def lines(self, now: datetime) -> list[str]:
        """For people."""
        lines = [*self._head(now), *self.faults]
        if self.status is not None:
            lines += table_lines(self.status, now)
        elif self.rows:
            lines += ["", *row_lines(self.rows), "", f"{self.units} finished units in the ledger"]
        return [*lines, *self._advice()]

    def _head(self, now: datetime) -> list[str]:
        status = self.status
        if status is None:
            doing = "a command is at work here" if self.at_work else "nothing is at work here"
            return [f"{self.folder}: {doing}; it has no {STATUS} to say how far it is"]
        what = head_line(status, ended=self.standing != "running")
        heard = max(0.0, (now - status.updated_utc).total_seconds())
        match self.standing:
            case "running":
                silent = f"; last heard of {span(heard)} ago" if heard > SILENT_SECONDS else ""
                return [f"{what}{silent}"]
            case "beginning":
                return [f"{self.folder}: a command is at work here, and has not begun its tasks; "
                        f"the one before:", f"{what}, {status.state}"]  # fmt: skip
            case "finished":
                return [f"{what}, finished {span(heard)} ago"]
            case "stopped":
                return [f"{what}, stopped {span(heard)} ago: {status.ended_by}"]
            case "unknown":
                return [f"{what}; last heard of {span(heard)} ago: whether it is at work "
                        f"can't be told, for you may not write to its {LOCK}"]  # fmt: skip
            case _:
                return [f"{what}, ended without a word (killed, or its machine went down), last "
                        f"heard of {span(heard)} ago"]  # fmt: skip

    def _advice(self) -> list[str]:
        if self.status is None or self.standing not in ("stopped", "killed"):
            return []
        goes_on = "finished work is kept, and the same command goes on from there"
        command = self.status.command
        return ["", f"{goes_on}: {command}" if command else goes_on]


def folder_status(folder: Path) -> tuple[FolderStatus, ...]:
    """Of a run directory, of unfinished fine-tuning, or of a study: of its fine-tuning and its run.

    UsageError for a folder that is none of these.
    """
    if not folder.is_dir():
        raise UsageError(f"there is no folder {folder}; give a run directory, or a study's folder")
    if (folder / STUDY).is_file():
        run = folder / "run"
        return (_found(folder), *([_found(run)] if run.is_dir() else []))
    known = [(folder / name).exists() for name in (STATUS, MANIFEST, "ledger", "records")]
    if any(known) or folder.suffix == UNFINISHED:
        return (_found(folder),)
    raise UsageError(
        f"{folder} is no run directory: it has neither {STATUS} nor {MANIFEST}; give the folder "
        f"that --run-dir names, a study's, or one that ends in {UNFINISHED}"
    )


def _found(folder: Path) -> FolderStatus:
    faults: list[str] = []
    status = None
    try:
        status = read_status(folder)
    except RunError as error:
        faults.append(str(error))
    if status is not None:
        return FolderStatus(folder, is_held(folder), status)
    try:
        rows = _rows_by_records(folder)
    except RunError as error:
        faults.append(str(error))
        rows = {}
    units = sum(1 for _ in (folder / "ledger").glob("*.npz"))
    return FolderStatus(folder, is_held(folder), None, rows, units, tuple(faults))


def _rows_by_records(folder: Path) -> dict[str, str]:
    """Of a run of an earlier version: every row of its suite, and what there is of it."""
    if not (folder / MANIFEST).is_file():
        return {}
    suite = read_run_manifest(folder).suite
    records = {path.stem for path in (folder / "records").glob("*.json")}
    failed = {one.stem: f"failed: {one.reason}" for one in read_failures(folder)}
    asked = [f"{one.name}.{protocol}" for protocol in suite.protocols for one in suite.entries]
    rows = dict.fromkeys([*sorted(records - {*asked}), *asked], "no record")
    return rows | dict.fromkeys(records, "record") | failed
