"""LaTeX tables fit on a page: by widths that LaTeX itself reported, and compiled where it is."""

import re
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from synthetic_records import write_exact_records, write_realistic_records
from test_hostile_names import HOSTILE

from fpmc_bench.documents.record import Figure, read_records
from fpmc_bench.results.render.latex import ACCENTED, render_latex
from fpmc_bench.results.render.latex_size import PAGE_POINTS, table_points
from fpmc_bench.results.table import FailedRow, Table, build_tables

COMMANDS = {r" \pm ": "±", r"$\pm$": "±", r"$\sigma$": "o", r"\_": "_", r"\textemdash{}": "—"}
LEADERBOARDS = Path(__file__).parent.parent / "leaderboards"
DOCUMENT = r"""\documentclass{article}
\usepackage{booktabs}
\begin{document}
%s
\end{document}
"""


def plain(cell: str) -> str:
    """A cell of LaTeX as it was before."""
    for command, text in COMMANDS.items():
        cell = cell.replace(command, text)
    stacked = re.fullmatch(r"\\shortstack\[[lr]\]\{(.*)\}", cell.strip())
    cell = stacked[1].replace(r"\\", "\n") if stacked else cell
    cell = re.sub(r"10\$\^\{-?\d+\}\$", "10⁻³", cell)
    return re.sub(r" \\cdot 10\^\{(-?\d+)\}", r"e\1", cell.strip().strip("$"))


def tabulars(text: str) -> list[tuple[str, float, list[list[str]]]]:
    """Of every tabular its size, its gap between columns, and its cells."""
    found = []
    for part in text.split(r"\setlength{\tabcolsep}")[1:]:
        rows = [line[:-3] for line in part.splitlines() if line.endswith(r"\\")]
        cells = [[plain(cell) for cell in row.split(" & ")] for row in rows]
        found.append((float(part[1 : part.index("pt}")]), cells))
    sizes = re.findall(r"\{\\(\w+)\\setlength", text)
    return [(size, gap, cells) for size, (gap, cells) in zip(sizes, found, strict=True)]


def test_the_estimate_is_that_of_latex() -> None:
    """The table of digits, whose overfull boxes were 61 and 590 points too wide as it once was."""
    lines = [
        ["", "", "entry", "mse@1 ± s.e.", "r2@1 ± s.e.", "s/query"],
        ["—", "", "digits-ncsnpp", "0.001179±0.000021", "0.996945±0.000052", "0.0003"],
        ["3", "*", "pspc-flex+qr+synthetic", "0.001757±0.000027", "0.995678±0.000065", "6.9e-06"],
    ]
    assert table_points(lines, "normalsize", 6.0) - PAGE_POINTS == pytest.approx(61, abs=2)


def hostile(folder: Path) -> Table:
    """Every text as bad as it can be, words that are longer than a line among them."""
    write_exact_records(folder)
    table = build_tables(read_records(folder))[0]
    names = (*HOSTILE[:4], "x" * 200)
    return replace(
        table,
        suite="".join(HOSTILE),
        reference="reference-" * 30 + f"画像 {ACCENTED} ¿ß€",
        rows=tuple(replace(row, entry=name) for row, name in zip(table.rows, names, strict=True)),
        failed=tuple(FailedRow(name, "no") for name in HOSTILE),
        caption=("".join(HOSTILE) + "/" * 300, *HOSTILE, "word" * 100, "画像 ⁻³ 10⁻³"),
    )


def many(folder: Path) -> Table:
    """More rows than a page has lines, and more notes than one has room for."""
    write_realistic_records(folder, entries=90, items=4)
    table = build_tables(read_records(folder))[0]
    return replace(table, caption=(*table.caption, *["a remark of some words"] * 60))


def long(folder: Path) -> Table:
    write_realistic_records(folder, entries=5, items=4)
    table = build_tables(read_records(folder))[0]
    tiny = Figure(mean=1.234e-11, standard_error=1.2e-13, n=4)
    rows = tuple(
        replace(
            row,
            entry=f"{row.entry}-{'parameters_' * 7}",
            verification="verified (32 items)",
            figures={**row.figures, "r2@1": tiny} if row.rank == 1 else row.figures,
        )
        for row in table.rows
    )
    return replace(table, rows=rows)


@pytest.fixture(params=["digits", "photos", many, long])
def table(request: pytest.FixtureRequest, tmp_path: Path) -> Table:
    if isinstance(request.param, str):
        return build_tables(read_records(LEADERBOARDS / request.param / "records"))[0]
    made: Table = request.param(tmp_path)
    return made


def test_no_table_is_larger_than_a_page(table: Table) -> None:
    ranking, by_level = [], []
    for size, gap_points, lines in tabulars(render_latex(table)):
        assert len({len(line) for line in lines}) == 1
        assert table_points(lines, size, gap_points) <= PAGE_POINTS
        (ranking if lines[0][2] == "entry" else by_level).append(lines)
    names = [re.sub(r" ?\(.*|\n", "", row[2]) for lines in ranking for row in lines[1:]]
    assert names == [row.entry for row in table.rows]
    shown: dict[str, list[str]] = {}
    for lines in by_level:
        assert lines[0][0] == "o"
        for row in lines[2:]:
            shown.setdefault(re.sub(r" ?\(.*|\n", "", row[0]), []).extend(lines[0][1:])
    sigmas = [f"{sigma:.3g}" for sigma in table.sigmas]
    assert shown == {row.entry: sigmas for row in table.rows}


@pytest.mark.skipif(not shutil.which("pdflatex"), reason="no pdflatex is installed")
def test_latex_makes_pages_of_them_without_a_complaint(tmp_path: Path) -> None:
    """No error, no box that is too wide, no table that is too high: of what is published, too."""
    for made in (hostile, many, long):
        folder = tmp_path / made.__name__
        (tmp_path / f"{made.__name__}.tex").write_text(render_latex(made(folder)))
    for path in LEADERBOARDS.glob("*/tables/*.tex"):
        shutil.copy(path, tmp_path / f"{path.parts[-3]}-{path.name}")
    parts = sorted(path.stem for path in tmp_path.glob("*.tex"))
    assert len(parts) >= 3 + 4
    inputs = "\n".join(rf"\input{{{part}.tex}}\clearpage" for part in parts)
    (tmp_path / "all.tex").write_text(DOCUMENT % inputs)
    done = subprocess.run(
        ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", "-no-shell-escape", "all.tex"],
        cwd=tmp_path,
        capture_output=True,
        timeout=120,
        check=False,
    )
    log = (tmp_path / "all.log").read_text(errors="replace")
    assert done.returncode == 0, log[-3000:]
    assert list(complaints(log)) == []


def complaints(log: str) -> Iterator[str]:
    for line in log.splitlines():
        if line.startswith("Overfull") or "too large" in line or "LaTeX Error" in line:
            yield line
