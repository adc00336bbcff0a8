"""LaTeX tables fit on a page: widths as LaTeX itself reported them, and every table by them."""

import re
from dataclasses import replace
from pathlib import Path

import pytest
from synthetic_records import write_realistic_records

from fpmc_bench.documents.record import read_records
from fpmc_bench.results.render.latex import render_latex
from fpmc_bench.results.render.latex_width import PAGE_POINTS, table_points
from fpmc_bench.results.table import Table, build_tables

COMMANDS = {r" \pm ": "±", r"$\pm$": "±", r"$\sigma$": "o", r"\_": "_", r"\textemdash{}": "—"}
LEADERBOARDS = Path(__file__).parent.parent / "leaderboards"


def plain(cell: str) -> str:
    """A cell of LaTeX as it was before."""
    for command, text in COMMANDS.items():
        cell = cell.replace(command, text)
    stacked = re.fullmatch(r"\\shortstack\[l\]\{(.*)\}", cell.strip())
    cell = stacked[1].replace(r"\\", "\n") if stacked else cell
    return re.sub(r" \\cdot 10\^\{(-?\d+)\}", r"e\1", cell.strip().strip("$"))


def tabulars(text: str) -> list[tuple[str, float, list[list[str]]]]:
    """Of every table its size, its gap between columns, and its cells."""
    found = []
    for part in text.split(r"\begin{table}")[1:]:
        way = re.search(r"\\(\w+)\\setlength\{\\tabcolsep\}\{(\S+)pt\}", part)
        assert way is not None
        rows = [line[:-3] for line in part.splitlines() if line.endswith(r"\\")]
        cells = [[plain(cell) for cell in row.split(" & ")] for row in rows]
        found.append((way[1], float(way[2]), cells))
    return found


def test_the_estimate_is_that_of_latex() -> None:
    """The table of digits, whose overfull boxes were 61 and 590 points too wide as it once was."""
    lines = [
        ["", "", "entry", "mse@1 ± s.e.", "r2@1 ± s.e.", "s/query"],
        ["—", "", "digits-ncsnpp", "0.001179±0.000021", "0.996945±0.000052", "0.0003"],
        ["3", "*", "pspc-flex+qr+synthetic", "0.001757±0.000027", "0.995678±0.000065", "6.9e-06"],
    ]
    assert table_points(lines, "normalsize", 6.0) - PAGE_POINTS == pytest.approx(61, abs=2)


@pytest.fixture(params=["digits", "photos", "many", "long"])
def table(request: pytest.FixtureRequest, tmp_path: Path) -> Table:
    if request.param in ("digits", "photos"):
        return build_tables(read_records(LEADERBOARDS / request.param / "records"))[0]
    write_realistic_records(tmp_path, entries=40 if request.param == "many" else 5, items=4)
    known = build_tables(read_records(tmp_path))[0]
    if request.param == "many":
        return known
    rows = tuple(replace(row, entry=f"{row.entry}-{'parameters_' * 7}") for row in known.rows)
    return replace(known, rows=rows)


def test_no_table_is_wider_than_a_page(table: Table) -> None:
    first, *by_sigma = tabulars(render_latex(table))
    for size, gap_points, lines in (first, *by_sigma):
        assert len({len(line) for line in lines}) == 1
        assert table_points(lines, size, gap_points) <= PAGE_POINTS
    names = [row[2].replace("\n", "").partition("(")[0].strip() for row in first[2][1:]]
    assert names == [row.entry for row in table.rows]
    shown = [name.replace("\n", "") for _, _, lines in by_sigma for name in lines[0][1:]]
    assert shown == [row.entry for row in table.rows]
    for _, _, lines in by_sigma:
        assert [line[0] for line in lines[1:]] == [f"{sigma:.3g}" for sigma in table.sigmas]
