"""A small leaderboard, run once for a module's tests, and what may be done to its files."""

import hashlib
import json
import shutil
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from runs import fpmc_bench, write_suite

from fpmc_bench.results.board import check
from fpmc_bench.results.reading import read_tables
from fpmc_bench.results.render import write, write_figures, write_tables
from fpmc_bench.results.render.write import figures_of
from fpmc_bench.results.table import Table

DRAWN: dict[tuple[str, str], bytes] = {}
"""By a figure's name, and a hash of what it is drawn from."""


def small_board(folder: Path, *denoisers: str) -> Path:
    """The run directory of the small suite with these, its ledger left out; seconds."""
    write_suite(folder)
    chosen = [word for name in denoisers for word in ("-d", name)]
    asked = ("run", "small.toml", *chosen, "--run-dir", "board", "--quiet")
    done = fpmc_bench(*asked, cwd=folder)
    assert done.returncode == 0, done.stderr
    shutil.rmtree(folder / "board" / "ledger")
    return folder / "board"


def drawn_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of the same tables and samples, for drawing takes most of the time of a check."""

    def figures(run_dir: Path, tables: Sequence[Table]) -> dict[str, Callable[[], bytes]]:
        samples = [path.read_bytes() for path in sorted(run_dir.glob("samples/*"))]
        content = [[vars(table) for table in tables], samples]  # a table's own text is short
        key = hashlib.sha256(repr(content).encode()).hexdigest()

        def once(name: str, draw: Callable[[], bytes]) -> bytes:
            if (name, key) not in DRAWN:
                DRAWN[name, key] = draw()
            return DRAWN[name, key]

        found = figures_of(run_dir, tables).items()
        return {name: partial(once, name, draw) for name, draw in found}

    for module in (write, check):
        monkeypatch.setattr(module, "figures_of", figures)


def rendered(board: Path) -> None:
    """Tables and figures anew, of the records as they are."""
    tables = read_tables(board)
    write_tables(board, tables)
    assert all(write_figures(board, tables).values())


def changed(path: Path, change: Callable[[dict[str, Any]], object]) -> None:
    """A JSON file, its content changed in place."""
    content = json.loads(path.read_text())
    change(content)
    path.write_text(json.dumps(content, indent=2) + "\n")
