"""Names are text anywhere: whatever a stranger called something is shown, and does nothing."""

import csv
import io
import json
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from runs import fpmc_bench, write_plugin
from synthetic_records import write_exact_records, write_synthetic

from fpmc_bench.documents.record import read_records
from fpmc_bench.documents.text import one_line, printable
from fpmc_bench.errors import RunError
from fpmc_bench.images.notices import notice
from fpmc_bench.results.render.csv import as_csv, render_csv, render_sigma_csv
from fpmc_bench.results.render.figures import draw_sigma_figure
from fpmc_bench.results.render.json import render_json
from fpmc_bench.results.render.latex import render_latex
from fpmc_bench.results.render.markdown import render_markdown
from fpmc_bench.results.render.sample_grid import write_sample_grid
from fpmc_bench.results.render.study_figures import (
    draw_augmentation_figure,
    draw_finetune_figure,
    draw_table_figure,
)
from fpmc_bench.results.render.terminal import render_terminal
from fpmc_bench.results.study_points import AugmentationPoint, FinetunePoint
from fpmc_bench.results.table import FailedRow, Table, build_tables

ESCAPES, BACKWARDS = "\x1b[2J\x1b]0;owned\x07\x9b31m", "moc.\u202elive\u2066\u200b"
FORMULA, MARKUP = "=HYPERLINK(A1)|pipe", "<img src=x>&lt;[a](https://e.org)`*_~"
MATHS, LINES = r"$\frac{1$ \input{x}%#_^ a--b", "two\nlines\r\u2028\ttab"
HOSTILE = (ESCAPES, BACKWARDS, FORMULA, MARKUP, MATHS, LINES, "@SUM(1)", "-1+cmd", "+1")


@pytest.fixture(scope="module")
def hostile(tmp_path_factory: pytest.TempPathFactory) -> Table:
    """Every text of a table as bad as it can be."""
    folder = tmp_path_factory.mktemp("hostile")
    write_exact_records(folder)
    table = build_tables(read_records(folder))[0]
    metric = f"{MATHS}@1"
    return replace(
        table,
        suite=f"{ESCAPES} {MARKUP} {MATHS}",
        reference="".join(HOSTILE),
        metrics=("mse@1", metric),
        rows=tuple(
            replace(
                row,
                entry=name,
                figures={**row.figures, metric: row.figures["r2@1"]},
                item_errors={**row.item_errors, metric: row.item_errors["r2@1"]},
            )
            for row, name in zip(table.rows, (LINES, ESCAPES, FORMULA, MARKUP, MATHS), strict=True)
        ),
        failed=(FailedRow(f"{FORMULA}-failed", LINES), FailedRow(BACKWARDS, FORMULA)),
        caption=("".join(HOSTILE),),
    )


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain ± text — ü 画像", "plain ± text — ü 画像"),
        ("\x1b[31m", r"\x1b[31m"),
        ("\x9b\x7f", r"\x9b\x7f"),
        ("a\u202eb\u2066\u200f", r"a\u202eb\u2066\u200f"),
        ("\udc80", r"\udc80"),
    ],
)
def test_what_a_terminal_would_obey_is_shown(text: str, shown: str) -> None:
    assert printable(text) == one_line(text) == shown


def test_lines_stay_lines_but_not_in_a_name() -> None:
    assert printable("a\n\tb\r") == "a\n\tb\\r"
    assert one_line("a\n\tb\u2028") == r"a\n\tb\u2028"


def no_control(text: str) -> bool:
    return printable(text) == text


def test_the_terminal(hostile: Table) -> None:
    text = render_terminal(hostile)
    assert no_control(text)
    assert r"two\nlines\r\u2028\ttab" in text
    ranks = [line.split()[:1] for line in text.split("\n\n")[2].splitlines()]
    assert [rank for rank in ranks if rank in (["—"], ["1"], ["2"], ["3"], ["4"])] == [
        *(["—"], ["1"], ["2"], ["3"], ["4"]),
        *(["—"], ["—"]),
    ]


def test_markdown(hostile: Table) -> None:
    text = render_markdown(hostile)
    assert no_control(text)
    assert re.search(r"(?<!\\)[<>&`$~]", text) is None
    assert "://" not in text
    for line in text.splitlines():
        if line.startswith("|") and "---" not in line:
            assert len(re.findall(r"(?<!\\)\|", line)) in (7 + 1, 5 + 1), line
    assert r"=HYPERLINK(A1)\|pipe" in text
    assert r"two\\nlines" in text


def test_latex(hostile: Table) -> None:
    text = render_latex(hostile)
    assert no_control(text)
    assert r"\input{x}" not in text
    assert r"a-{}-b" in text
    body = re.sub(r"\\[\\%$#_{}&]", "", text.replace("% needs ", ""))
    assert re.search(r"[%#]", body) is None
    assert body.count("{") == body.count("}")
    for line in body.splitlines():
        assert line.count("$") % 2 == 0, line
    header = next(line for line in text.splitlines() if "s/query" in line)
    assert r"\$\textbackslash{}frac\{1\$" in header


def test_csv(hostile: Table) -> None:
    for text in (render_csv(hostile), render_sigma_csv(hostile)):
        assert no_control(text)
        lines = list(csv.reader(io.StringIO(text)))
        assert len({len(line) for line in lines}) == 1
        assert len(lines) == len(text.splitlines())
        for cell in (cell for line in lines for cell in line):
            assert not cell.startswith(("=", "+", "@", "\t")), cell
            assert not cell.startswith("-") or float(cell) < 0, cell
    assert f"'{FORMULA}" in render_csv(hostile)


def test_numbers_of_a_csv_stay_numbers() -> None:
    frame = pd.DataFrame({"=x": ["-1", " =1"], "y": [-1.5, float("inf")], "z": [-2, 3]})
    assert as_csv(frame) == "'=x,y,z\n'-1,-1.5,-2\n' =1,inf,3\n"


def test_json(hostile: Table) -> None:
    text = render_json(hostile)
    assert text.isascii()
    assert [row["entry"] for row in json.loads(text)[0]["rows"]][1] == ESCAPES


def test_figures(hostile: Table, tmp_path: Path) -> None:
    svg = draw_sigma_figure(hostile, "svg").decode()
    assert no_control(svg)
    # matplotlib says above its glyphs which text they are
    assert r"<!-- $\frac{1$ \input{x}%#_^ a- -b -->" in svg
    draw_table_figure(MATHS, [replace(hostile, metrics=("mse@1",))])
    point = FinetunePoint(f"{MATHS}[x=1]", MATHS, 1.0, 9, 1.0, 0.1, 0.9, 0.1, -0.1, 0.01)
    draw_finetune_figure(MATHS, [point, replace(point, sigma=2.0)])
    added = AugmentationPoint(MATHS, MATHS, 1.0, 1.0, 9, 5.0, 1.0)
    draw_augmentation_figure(MATHS, [added, replace(added, rate=2.0, base="other")])
    write_sample_grid(tmp_path / "grid.png", {name: np.zeros((1, 1, 8, 8)) for name in HOSTILE})


@pytest.mark.parametrize("name", HOSTILE)
def test_records_have_the_pattern_of_suites(tmp_path: Path, name: str) -> None:
    path = write_synthetic(tmp_path, "ls", {"mse@1": np.arange(16.0).reshape(4, 4)})
    content = json.loads(path.read_text())
    metrics = {"figures": {name: content["figures"]["mse@1"]}}
    for change in ({"suite": name}, {"entry": name}, metrics):
        path.write_text(json.dumps({**content, **change}))
        with pytest.raises(RunError, match=r"is not a record: (suite|entry|figures\.)") as refused:
            read_records(tmp_path)
        assert "should match pattern" in str(refused.value)


def test_a_stranger_s_record_in_a_terminal(tmp_path: Path) -> None:
    path = write_synthetic(tmp_path, "ls", {"mse@1": np.arange(16.0).reshape(4, 4)})
    content = json.loads(path.read_text())
    path.write_text(json.dumps({**content, "figures": {ESCAPES: content["figures"]["mse@1"]}}))
    done = fpmc_bench("leaderboard", "render", tmp_path, cwd=tmp_path)
    assert done.returncode == 1
    assert r"figures.\x1b[2J" in done.stderr
    assert no_control(done.stderr)


def test_names_of_images_in_a_terminal(caplog: pytest.LogCaptureFixture) -> None:
    notice(f"skipped {ESCAPES}")
    assert no_control(caplog.messages[0])


PLUGIN = '''
    from dataclasses import dataclass
    from typing import ClassVar
    from fpmc_bench import hookimpl
    from fpmc_bench.contracts import FunctionDenoiser

    @dataclass(frozen=True)
    class Loud(FunctionDenoiser):
        """Turns \\x1b[2J\\u202e the screen.

        Twice."""
        name: ClassVar[str] = NAME
        citation: ClassVar[str] = "\\x1b]0;owned\\x07 2026"

        def build(self, setting):
            return lambda z, sigma: z

    @hookimpl
    def fpmc_denoisers():
        return [Loud]
'''


def test_what_plugins_say_of_themselves(tmp_path: Path) -> None:
    site = write_plugin(tmp_path / "site", "loud", PLUGIN.replace("NAME", '"1e3"'))
    for command in (("list",), ("info", "1e3"), ("list", "--json"), ("info", "1e3", "--json")):
        done = fpmc_bench(*command, cwd=tmp_path, paths=(site,))
        assert done.returncode == 0, done.stderr
        assert no_control(done.stdout)
        assert "--json" not in command or json.loads(done.stdout)
    told = fpmc_bench("info", "1e3", cwd=tmp_path, paths=(site,)).stdout
    assert r"\x1b]0;owned\x07 2026" in told
    listed = fpmc_bench("list", "denoisers", "--name", "1e3", cwd=tmp_path, paths=(site,)).stdout
    assert "1e3" in listed, "a name that looks like a number is none"


def test_a_plugin_s_name_is_a_name(tmp_path: Path) -> None:
    site = write_plugin(tmp_path / "site", "loud", PLUGIN.replace("NAME", r'"\x1b[2J"'))
    done = fpmc_bench("list", cwd=tmp_path, paths=(site,))
    assert done.returncode == 0
    assert no_control(done.stderr)
    assert "the denoiser '\\x1b[2J' must be named by letters, digits" in done.stderr
