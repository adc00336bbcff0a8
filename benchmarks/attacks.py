"""Alters a small leaderboard in every way of `attacking/alterations.py`, and says who notices.

    python benchmarks/attacks.py                the table of docs/reliability.md

Two denoisers are run on eight digits; each attack is made on a copy of what that leaves. The copy
is read, as `fpmc-bench leaderboard render` reads it; what passes is checked, as `leaderboard check`
does but for tables and figures, which whoever alters records renders anew; and what passes that is
verified, as `fpmc-bench verify --all` does. Exit status 1 where none of them finds an attack, or
where anything is found in the leaderboard as it was.
"""

import re
import shutil
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

import click
from tabulate import tabulate

sys.path.append(str(Path(__file__).parent))

from attacking.alterations import ATTACKS, CHECK, READING, ROW, VERIFY, Attack

from fpmc_bench.catalog.finding import load_suite
from fpmc_bench.errors import FpmcBenchError
from fpmc_bench.jobs.run import run_suite
from fpmc_bench.jobs.verify import verify_records
from fpmc_bench.results.board.check import check
from fpmc_bench.results.reading import read_tables

ITEMS, BLOCK_ITEMS = 8, 4
RENDERED = ("tables", "figures")
LONGEST = 150


@dataclass(frozen=True)
class Found:
    """Who noticed an attack, and what was said; nobody: empty."""

    by: str
    message: str


def small_board(folder: Path) -> Path:
    """A leaderboard of two denoisers and the other network, on few items in two blocks."""
    suite = load_suite("digits").replaced(
        items=ITEMS, block_items=BLOCK_ITEMS, protocols=("denoiser-mse",)
    )
    entries = [entry.model_dump() for entry in suite.entries if entry.name in (ROW, "optimal")]
    run_suite(suite.replaced(entries=entries), run_dir=folder, progress=False)
    return folder


def found(board: Path) -> Found:
    """What notices first that a leaderboard is not as it should be."""
    try:
        read_tables(board)
    except FpmcBenchError as error:
        return Found(READING, str(error).replace(f"{board}/", ""))
    checked = [one for one in check(board).faults if not one.file.startswith(RENDERED)]
    if checked:
        return Found(CHECK, str(checked[0]).replace(f"{board}/", ""))
    return verified(board)


def verified(board: Path) -> Found:
    """What `fpmc-bench verify --all` says of the first row that does not agree."""
    rows = verify_records(board, items=None, attest=False, progress=False).rows
    wrong = [row.line for row in rows if not row.agrees]
    return Found(VERIFY, wrong[0].replace(f"{board}/", "")) if wrong else Found("", "")


def tried(attack: Attack, board: Path, folder: Path) -> Found:
    """Made on a copy of the board, in `folder`."""
    copy = folder / "board"
    shutil.copytree(board, copy)
    attack.alter(copy)
    noticed = found(copy)
    shutil.rmtree(copy)
    return noticed


def shown(message: str) -> str:
    """A message in a cell of a table: long ones and digests cut, Markdown escaped."""
    short = re.sub(r"\b([0-9a-f]{8})[0-9a-f]{12,}(\.\.\.)?", r"\1...", " ".join(message.split()))
    short = short if len(short) <= LONGEST else f"{short[:LONGEST]} ..."
    return re.sub(r"([|*_<>\[\]`])", r"\\\1", short)


@click.command()
def main() -> None:
    """Print the table as Markdown."""
    with tempfile.TemporaryDirectory() as folder:
        board = small_board(Path(folder) / "run")
        if (innocent := found(board)).by:
            raise click.ClickException(f"found without an attack: {innocent.message}")
        rows = [(attack, tried(attack, board, Path(folder))) for attack in ATTACKS]
    table = [(attack.altered, by.by or "nobody", shown(by.message)) for attack, by in rows]
    click.echo(tabulate(table, ["what was altered", "found by", "message"], "pipe"))
    sys.exit(0 if all(by.by for _, by in rows) else 1)


if __name__ == "__main__":
    main()
