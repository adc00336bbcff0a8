"""Rows of a run taken into a leaderboard: all of it is made and checked beside, then written.

What is there stays byte by byte. Nothing is written before everything was found to be as it should
be; each file appears whole or not at all, records before what is made of them, so that whoever was
interrupted gives the same command again.
"""

import shutil
import tempfile
from collections.abc import Collection
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from pathlib import Path

from fpmc_bench.documents.attestation import SUFFIX
from fpmc_bench.documents.earlier import set_aside
from fpmc_bench.documents.manifest import MANIFEST
from fpmc_bench.errors import RunError, UsageError
from fpmc_bench.results.board.check import Check, check
from fpmc_bench.results.board.files import files_of
from fpmc_bench.results.board.findings import Finding
from fpmc_bench.results.board.folder import Folder, read_folder
from fpmc_bench.results.board.joining import Joining, joining
from fpmc_bench.results.board.merge import (
    merge_failures,
    merge_manifest,
    merge_samples,
    merge_trajectories,
)
from fpmc_bench.results.reading import read_tables
from fpmc_bench.results.render.write import write_figures, write_tables
from fpmc_bench.storage.atomic import write_atomically
from fpmc_bench.storage.folders import locked

ORDER = ("records", "samples", MANIFEST, "failures.json", "tables", "figures")
"""In which files are written: what others are made of comes first."""


@dataclass(frozen=True)
class Addition:
    """What became of a run's rows, the files that were `written`, and how the leaderboard is now.

    Names are below the leaderboard's folder.
    """

    rows: Joining
    written: tuple[str, ...]
    check: Check


def add(
    run: Path,
    board: Path,
    *,
    entries: Collection[str] = (),
    replace: Collection[str] = (),
    dry_run: bool = False,
) -> Addition:
    """Take rows of the run directory `run` that `board` has not into it, and render it anew.

    Of these `entries`, or of all. Those that `replace` names take the place of records that are
    there, which move to `earlier`. A leaderboard that is not there is made. With `dry_run` nothing
    is written. UsageError, UnknownNameError and RunError for whatever is in the way, before
    anything is written.
    """
    if board.exists() and board.resolve() == run.resolve():
        raise UsageError(f"{board} is the run itself; its rows are there already")
    found = read_folder(run)
    held = board.is_dir() and not dry_run
    with _held(board) if held else nullcontext(), tempfile.TemporaryDirectory() as beside:
        there = read_folder(board) if (board / MANIFEST).is_file() else None
        _refuse_other_content(board, there)
        rows = joining(found, there, entries, replace)
        stage = Path(beside) / "board"
        _copy(board, stage)
        _merge(found, stage, rows)
        done = _checked(stage, board)
        written = _changed(stage, board, rows.replaced)
        if not dry_run:
            with nullcontext() if held else _held(board):
                _write(stage, board, rows, written)
    return Addition(rows, written, done)


def _held(board: Path) -> AbstractContextManager[None]:
    return locked(board, "run", "--to")


def _write(stage: Path, board: Path, rows: Joining, written: Collection[str]) -> None:
    for stem in rows.replaced:
        set_aside(board, stem)
    for name in written:
        write_atomically(board / name, (stage / name).read_bytes())
    for name in set(_names(board)) - set(files_of(stage)):
        (board / name).unlink()


def _refuse_other_content(board: Path, there: Folder | None) -> None:
    if there is None and board.is_dir() and (found := files_of(board)):
        raise RunError(
            f"{board} is no run directory: it has {found[0]}, and no {MANIFEST}; give another "
            f"folder as --to"
        )


def _copy(board: Path, stage: Path) -> None:
    """What tables are made of, and the tables."""
    stage.mkdir()
    for name in _names(board):
        (stage / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(board / name, stage / name)


def _names(board: Path) -> list[str]:
    return files_of(board) if board.is_dir() else []


def _merge(run: Folder, stage: Path, rows: Joining) -> None:
    """The rows and all that lies beside them, in the folder that is made."""
    (stage / "records").mkdir(exist_ok=True)
    for stem in rows.taken:
        (stage / "records" / f"{stem}{SUFFIX}").unlink(missing_ok=True)
        for path in run.files(stem):
            shutil.copyfile(path, stage / "records" / path.name)
    there = (*rows.taken, *rows.same)  # of which an interrupted command may have lost the rest
    merge_manifest(run, stage, {run.rows[stem].record.entry for stem in there})
    merge_failures(stage, there)
    merge_samples(run.path, stage, there)
    merge_trajectories(run.path, stage, there)
    tables = read_tables(stage)
    write_tables(stage, tables)
    write_figures(stage, tables)


def _checked(stage: Path, board: Path) -> Check:
    """The check of what would be, as one of the leaderboard's; RunError where it finds a fault."""
    done = check(stage)
    said = [Finding(one.file, one.text.replace(str(stage), str(board))) for one in done.faults]
    if said:
        listed = "\n".join(f"  {one}" for one in said)
        raise RunError(
            f"nothing was added, for {board} would not be as it should be:\n{listed}\n"
            f"'fpmc-bench leaderboard check' says what of it is wrong already, there and in the run"
        )
    notes = [Finding(one.file, one.text.replace(str(stage), str(board))) for one in done.notes]
    return replace(done, directory=board, notes=notes)


def _changed(stage: Path, board: Path, replaced: Collection[str]) -> tuple[str, ...]:
    """Files of the stage that are not the leaderboard's, or will be set aside there, in order."""
    found = []
    for name in files_of(stage):
        there = board / name
        same = there.is_file() and there.read_bytes() == (stage / name).read_bytes()
        if not same or there.stem in replaced:
            found.append(name)
    # of a record the JSON comes last, which says that its items are there
    return tuple(sorted(found, key=lambda name: (_place(name), name.endswith(".json"), name)))


def _place(name: str) -> int:
    return ORDER.index(name.partition("/")[0]) if name.partition("/")[0] in ORDER else len(ORDER)
