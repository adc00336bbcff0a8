"""Renderers by their whole output, figures by their pixels, and all of it the same when repeated.

Where a change of output is meant, FPMC_BENCH_REWRITE_SNAPSHOTS=1 rewrites tests/snapshots (and the
test still fails, until it is run without): read the diff.
"""

import io
import json
import os
import re
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

import matplotlib as mpl
import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure as Canvas
from PIL import Image
from synthetic_records import write_exact_records, write_realistic_records, write_synthetic

from fpmc_bench.documents.record import read_records
from fpmc_bench.errors import FpmcBenchError, InputError, RunError
from fpmc_bench.results.render import write_figures, write_tables
from fpmc_bench.results.render.cells import figure_column
from fpmc_bench.results.render.colours import looks_of
from fpmc_bench.results.render.csv import render_csv, render_sigma_csv
from fpmc_bench.results.render.figures import draw_sigma_figure
from fpmc_bench.results.render.forest import draw_forest, forest_panel, lines_of
from fpmc_bench.results.render.json import render_json
from fpmc_bench.results.render.latex import render_latex
from fpmc_bench.results.render.markdown import render_markdown
from fpmc_bench.results.render.sample_grid import (
    CELL_PX,
    GAP_PX,
    read_samples,
    write_sample_grid,
)
from fpmc_bench.results.render.terminal import render_terminal
from fpmc_bench.results.table import Table, build_tables
from fpmc_bench.storage.arrays import write_arrays

SNAPSHOTS = Path(__file__).parent / "snapshots"


@pytest.fixture(scope="module")
def exact(tmp_path_factory: pytest.TempPathFactory) -> tuple[Table, ...]:
    folder = tmp_path_factory.mktemp("exact")
    write_exact_records(folder)
    return build_tables(read_records(folder))


@pytest.fixture(scope="module")
def realistic(tmp_path_factory: pytest.TempPathFactory) -> Table:
    folder = tmp_path_factory.mktemp("realistic")
    write_realistic_records(folder)
    return build_tables(read_records(folder))[0]


@pytest.mark.parametrize(
    ("name", "renderer"),
    [
        ("terminal.txt", lambda tables: "\n\n".join(map(render_terminal, tables)) + "\n"),
        ("markdown.md", lambda tables: "\n".join(map(render_markdown, tables))),
        ("latex.tex", lambda tables: "\n".join(map(render_latex, tables))),
        ("tables.csv", lambda tables: render_csv(*tables)),
        ("by-sigma.csv", lambda tables: render_sigma_csv(tables[0])),
        ("tables.json", lambda tables: render_json(*tables)),
    ],
)
def test_whole_outputs(
    exact: tuple[Table, ...], name: str, renderer: Callable[[tuple[Table, ...]], str]
) -> None:
    rendered, path = renderer(exact), SNAPSHOTS / name
    known = path.read_text(encoding="utf-8") if path.is_file() else ""
    if os.environ.get("FPMC_BENCH_REWRITE_SNAPSHOTS"):
        path.write_text(rendered, encoding="utf-8")
    assert rendered == known


@pytest.mark.parametrize("entries", [1, 7, 12, 30])
def test_the_terminal_keeps_to_100_columns(tmp_path: Path, entries: int) -> None:
    """Every row stands once in the ranking, and once in each block of noise levels."""
    write_realistic_records(tmp_path, entries=entries, items=16)
    (table,) = build_tables(read_records(tmp_path))
    rows = (
        *table.rows,
        replace(table.rows[-1], entry=f"mine[{'parameter=1, ' * 8}x=2]", verification="reproduced"),
        replace(table.rows[-1], entry="y" * 90, verification="verified (32 items)"),
    )
    text = render_terminal(replace(table, rows=rows))
    assert max(map(len, text.splitlines())) <= 100
    _, _, ranking, _, _, *blocks = text.split("\n\n")
    heads = [block.splitlines()[0] for block in blocks]
    shown = [sigma for line in heads for sigma in line.split()[1:]]
    assert shown == [f"{sigma:.3g}" for sigma in table.sigmas]
    for part in (ranking, *blocks):
        for row in table.rows:
            assert sum(row.entry in line.split() for line in part.splitlines()) == 1
        assert "y" * 41 not in part
        assert "".join(re.findall("y{5,}", part)) == "y" * 90, "folded, and whole"


def test_csv_keeps_every_digit(realistic: Table) -> None:
    frame = pd.read_csv(io.StringIO(render_csv(realistic)))
    for line, row in zip(frame.to_dict("records"), realistic.rows, strict=True):
        assert line["entry"] == row.entry
        assert line["mse"] == row.figures["mse@1"].mean
        assert line["mse_se"] == row.figures["mse@1"].standard_error
        assert line["r2"] == row.figures["r2@1"].mean
        assert line["r2_se"] == row.figures["r2@1"].standard_error
    levels = pd.read_csv(io.StringIO(render_sigma_csv(realistic)))
    assert len(levels) == 8 * 18
    assert levels["mse"].iloc[18] == realistic.rows[1].by_sigma[0].mean


def test_json_has_null_for_what_is_not_a_number(tmp_path: Path) -> None:
    broken = np.full((4, 4), np.nan)
    write_synthetic(tmp_path, "broken", {"mse@1": broken, "r2@1": broken})
    tables = build_tables(read_records(tmp_path))
    (table,) = json.loads(render_json(*tables))
    nothing = {"mean": None, "standard_error": None, "n": 4, "item_error": None}
    assert table["rows"][0]["figures"]["mse@1"] == nothing
    assert "nan" in render_terminal(tables[0])
    assert r"$\mathrm{nan} \pm \mathrm{?}$" in render_latex(tables[0])
    draw_sigma_figure(tables[0])


def test_latex_is_balanced_and_escaped(tmp_path: Path) -> None:
    write_synthetic(
        tmp_path,
        "a_b",
        {"mse@1": np.arange(16.0).reshape(4, 4)},
        suite="50_s",
        reference=r"{x}\y~z^#&$",
    )
    (table,) = build_tables(read_records(tmp_path))
    text = render_latex(table)
    assert r"a\_b" in text
    assert r"\{x\}\textbackslash{}y\textasciitilde{}z\textasciicircum{}\#\&\$" in text
    body = text.replace("\\\\", "").replace(r"\{", "").replace(r"\}", "")
    assert body.count("{") == body.count("}")
    rows = [line for line in text.splitlines() if line.endswith(r"\\")]
    assert {line.count(" & ") for line in rows} == {5, 4}


@pytest.mark.parametrize("draw", [draw_forest, draw_sigma_figure])
def test_figures_show_every_entry_in_its_colour(
    realistic: Table, draw: Callable[[Table], bytes]
) -> None:
    with Image.open(io.BytesIO(draw(realistic))) as image:
        image.load()
        assert image.format == "PNG"
        assert image.width == 1260
        pixels = np.asarray(image.convert("RGB")).reshape(-1, 3)
    colours, seen = np.unique(pixels, axis=0, return_counts=True)
    counts = {tuple(map(int, rgb)): int(n) for rgb, n in zip(colours, seen, strict=True)}
    for entry, look in looks_of(realistic).items():
        rgb = tuple(int(look.colour[at : at + 2], 16) for at in (1, 3, 5))
        assert counts.get(rgb, 0) > 60, f"{entry} is hardly to be seen"


@pytest.mark.parametrize("kind", ["png", "svg"])
def test_figures_are_the_same_bytes_whatever_the_user_s_settings(
    exact: tuple[Table, ...], kind: str
) -> None:
    for draw in (draw_forest, draw_sigma_figure):
        first = draw(exact[0], kind)  # type: ignore[operator]
        with mpl.rc_context({"lines.linewidth": 9, "font.size": 30, "savefig.dpi": 20}):
            assert draw(exact[0], kind) == first  # type: ignore[operator]
        assert b"Date" not in first
        assert b"dc:date" not in first


def samples(channels: int, side: int) -> dict[str, np.ndarray]:
    """Three images a row, every pixel another level of the 256."""
    ramp = np.arange(3 * channels * side * side).reshape(3, channels, side, side) % 256
    return {"teacher": ramp / 127.5 - 1, "ls": ramp[:, :, ::-1] / 127.5 - 1}


@pytest.mark.parametrize(("channels", "side", "factor"), [(1, 8, 8), (3, 32, 2), (3, 64, 1)])
def test_a_sample_grid_shows_every_pixel(
    tmp_path: Path, channels: int, side: int, factor: int
) -> None:
    rows = samples(channels, side)
    write_sample_grid(tmp_path / "grid.png", rows)
    with Image.open(tmp_path / "grid.png") as image:
        shown = np.asarray(image.convert("RGB"))
    step = CELL_PX + GAP_PX
    assert shown.shape[0] == GAP_PX + 2 * step
    left = shown.shape[1] - 3 * step
    assert left > 20, "no room for labels"
    assert (shown[:, :left].min(axis=(1, 2)) < 100).any(), "no label was drawn"
    for line, images in enumerate(rows.values()):
        for column, image in enumerate(images):
            top, start = GAP_PX + line * step, left + column * step
            cell = shown[top : top + CELL_PX, start : start + CELL_PX]
            levels = np.rint((image + 1) * 127.5).astype(int).transpose(1, 2, 0)
            for y, x in ((0, 0), (0, 1), (1, 0), (side - 1, side - 1), (2, 5)):
                block = cell[y * factor : (y + 1) * factor, x * factor : (x + 1) * factor]
                assert (block == levels[y, x]).all()


def test_a_sample_grid_clamps_for_display(tmp_path: Path) -> None:
    write_sample_grid(tmp_path / "grid.png", {"wild": np.full((1, 1, 8, 8), 3.0)})
    with Image.open(tmp_path / "grid.png") as image:
        assert np.asarray(image)[GAP_PX + 5, -GAP_PX - 5].tolist() == [255, 255, 255]


@pytest.mark.parametrize(
    ("rows", "complaint"),
    [
        ({}, "at least one row"),
        ({"a": np.zeros((2, 2, 8, 8))}, "C 1 or 3"),
        ({"a": np.zeros((2, 1, 8, 8)), "b": np.zeros((3, 1, 8, 8))}, "'b' have shape"),
        ({"a": np.full((2, 1, 8, 8), np.nan)}, "NaN"),
    ],
)
def test_a_sample_grid_refuses(tmp_path: Path, rows: dict[str, np.ndarray], complaint: str) -> None:
    with pytest.raises(InputError, match=complaint):
        write_sample_grid(tmp_path / "grid.png", rows)
    assert list(tmp_path.iterdir()) == []


def write_reports(run_dir: Path) -> list[Path]:
    """Tables and figures of the records of a run directory."""
    tables = build_tables(read_records(run_dir / "records"))
    drawn = write_figures(run_dir, tables)
    assert all(drawn.values())
    return [*write_tables(run_dir, tables), *drawn]


def save_samples(
    run_dir: Path, rows: Mapping[str, np.ndarray], *, compressed: bool = False
) -> None:
    """As a run does, but in another order than the one they are to be shown in."""
    path = run_dir / "samples" / "sample-mse.npz"
    backwards = dict(reversed(rows.items()))
    write_arrays(
        path, {".order": np.array(json.dumps(list(rows))), **backwards}, compressed=compressed
    )


def test_reports_are_complete_and_the_same_again(tmp_path: Path) -> None:
    write_exact_records(tmp_path / "records")
    save_samples(tmp_path, samples(1, 8))
    written = write_reports(tmp_path)
    assert {str(path.relative_to(tmp_path)) for path in written} == {
        "figures/denoiser-mse-forest.png",
        "figures/denoiser-mse-forest.svg",
        "figures/denoiser-mse.png",
        "figures/denoiser-mse.svg",
        "figures/sample-mse-forest.png",
        "figures/sample-mse-forest.svg",
        "figures/sample-mse-samples.png",
        "tables/denoiser-mse-by-sigma.csv",
        "tables/denoiser-mse.csv",
        "tables/denoiser-mse.md",
        "tables/denoiser-mse.tex",
        "tables/sample-mse.csv",
        "tables/sample-mse.md",
        "tables/sample-mse.tex",
    }
    assert {path for path in tmp_path.rglob("*") if path.parent.name in ("tables", "figures")} == {
        *written
    }
    before = {path: path.read_bytes() for path in written}
    assert write_reports(tmp_path) == written
    assert {path: path.read_bytes() for path in written} == before


def test_samples_beside_the_records_are_drawn_in_their_own_order(tmp_path: Path) -> None:
    """And say which network they are measured against, and which is the other one."""
    write_exact_records(tmp_path / "records")
    first, second = samples(3, 8).values()
    save_samples(tmp_path, {"teacher_b": first, "teacher-a": second, "ls": first})
    labelled = {"teacher_b (reference)": first, "teacher-a (other network)": second, "ls": first}
    write_sample_grid(tmp_path / "expected.png", labelled)
    drawn = tmp_path / "figures" / "sample-mse-samples.png"
    assert write_reports(tmp_path)[-1] == drawn
    assert drawn.read_bytes() == (tmp_path / "expected.png").read_bytes()


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        ({"mine": np.zeros((12, 3, 700, 700), np.float32)}, "would take 70560"),
        (
            {"mine": np.zeros((13, 1, 8, 8), np.float32)},
            r"float32 \[13, 1, 8, 8\]; expected at most",
        ),
        ({"mine": np.zeros((1, 1, 8, 8), np.complex64)}, "can't be read"),
        ({"mine": np.zeros((1, 1, 8, 8), np.uint8)}, "expected at most 12 images"),
        ({"a\nb": np.zeros((1, 1, 8, 8), np.float32)}, "no row is called"),
        ({"mine": np.zeros((12, 1, 1, 200_000), np.float32)}, "at most 134217728 fit"),
    ],
)
def test_samples_that_none_can_be_are_refused(
    rows: dict[str, np.ndarray], said: str, tmp_path: Path
) -> None:
    """A small file may state much: neither it nor its picture is made."""
    save_samples(tmp_path, rows, compressed=True)
    path = tmp_path / "samples" / "sample-mse.npz"
    assert path.stat().st_size < 100_000
    with pytest.raises(FpmcBenchError, match=said):
        write_sample_grid(tmp_path / "grid.png", read_samples(path))
    assert not (tmp_path / "grid.png").exists()


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 cut short", b"not samples"])
def test_a_damaged_file_of_samples_is_refused(tmp_path: Path, content: bytes) -> None:
    write_exact_records(tmp_path / "records")
    path = tmp_path / "samples" / "sample-mse.npz"
    path.parent.mkdir()
    path.write_bytes(content)
    with pytest.raises(RunError, match=r"sample-mse\.npz can't be read"):
        write_reports(tmp_path)
    np.savez(path, order=np.array('["mine"]'))
    with pytest.raises(RunError, match=r"sample-mse\.npz is not a file of samples"):
        write_reports(tmp_path)


def test_bars_of_few_groups_are_as_long_as_that_makes_them(tmp_path: Path) -> None:
    """Of two groups Student's t has one degree of freedom: 12.7 standard errors either way."""
    mse = np.random.default_rng(0).random((8, 4))
    write_synthetic(tmp_path, "ls", {"mse@1": mse}, groups=[0, 0, 0, 0, 1, 1, 1, 1])
    (table,) = build_tables(read_records(tmp_path))
    canvas = Canvas()
    axes = canvas.add_subplot()
    forest_panel(axes, table, lines_of(table))
    figure = table.rows[0].figures["mse@1"]
    end = (figure.mean + 12.7062 * figure.standard_error) / 10.0 ** figure_column([figure]).power
    ends = [float(np.max(line.get_xdata())) for line in axes.lines]
    assert pytest.approx(end, rel=1e-4) in ends
    assert table.measured == "8 items in 2 groups"
