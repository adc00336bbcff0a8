"""Figures that flatter are said to, in every form that a table has."""

import json
from pathlib import Path

import numpy as np
import pytest
from plans import loaded, small_suite
from synthetic_records import EXACT_SIGMAS, write_synthetic

from fpmc_bench.catalog.context import load_context
from fpmc_bench.catalog.installed import installed_registry
from fpmc_bench.catalog.places import Places
from fpmc_bench.documents.record import read_records
from fpmc_bench.images.notices import notice
from fpmc_bench.results.render.csv import render_csv
from fpmc_bench.results.render.json import render_json
from fpmc_bench.results.render.latex import render_latex
from fpmc_bench.results.render.markdown import render_markdown
from fpmc_bench.results.render.terminal import render_terminal
from fpmc_bench.results.table import Table, build_tables

ITEMS = 8
ZERO = "an error of exactly 0 is that of teacher-a itself, or of its own answers kept"
NEARER = "nearer to teacher-a than teacher_b is, another network trained for the same task"


def write(folder: Path, entry: str, size: float, **changes: object) -> None:
    """Errors of about `size` at every noise level."""
    spread = 1 + np.arange(ITEMS * len(EXACT_SIGMAS)).reshape(ITEMS, -1) / 64
    errors = size * spread
    for level in changes.pop("exact_at", ()):  # type: ignore[attr-defined]
        errors[:, level] = 0
    values = {"mse@1": errors, "r2@1": 1 - errors}
    write_synthetic(folder, entry, values, **changes)  # type: ignore[arg-type]


def table_of(folder: Path) -> Table:
    (table,) = build_tables(read_records(folder))
    return table


def remarks(table: Table) -> dict[str, tuple[str, ...]]:
    return {row.entry: row.remarks for row in table.rows if row.remarks}


def test_honest_rows_have_none(tmp_path: Path) -> None:
    write(tmp_path, "teacher_b", 0.125, role="other network")
    write(tmp_path, "ls", 0.25)
    write(tmp_path, "tied", 0.125)
    table = table_of(tmp_path)
    assert remarks(table) == {}
    assert "remarks" not in render_csv(table)


def test_an_error_of_zero_is_said_to_be_the_reference_s_own(tmp_path: Path) -> None:
    """And is nearer than the other network, of course."""
    write(tmp_path, "teacher_b", 0.125, role="other network")
    write(tmp_path, "itself", 0.0)
    write(tmp_path, "at-two", 1.0, exact_at=(1, 3))
    table = table_of(tmp_path)
    assert list(remarks(table)) == ["itself", "at-two"]
    zero, nearer = remarks(table)["itself"]
    assert zero.startswith(ZERO)
    assert nearer.startswith(NEARER)
    (at_two,) = remarks(table)["at-two"]
    assert at_two.startswith("an error of exactly 0 at 2 of 4 noise levels, as sigma 8, is that of")


def test_without_another_network_nothing_is_nearer_than_it(tmp_path: Path) -> None:
    write(tmp_path, "ls", 0.25)
    write(tmp_path, "els", 0.125)
    assert remarks(table_of(tmp_path)) == {}


def test_every_form_of_a_table_has_them(tmp_path: Path) -> None:
    everyone = "the tuning teacher x was trained on other images"
    write(tmp_path, "teacher_b", 0.125, role="other network", remarks=(everyone,))
    write(tmp_path, "near", 0.0625, remarks=(everyone,))
    write(tmp_path, "ls", 0.25, remarks=(everyone, "its answers depend on chance"))
    table = table_of(tmp_path)
    sentences = (
        f"All rows: {everyone}.",
        f"near: {NEARER}; it may know more of teacher-a than its answers to noisy images.",
        "ls: its answers depend on chance.",
    )
    assert table.caption[-3:] == (sentences[0], sentences[1], sentences[2])
    in_lines = " ".join(render_terminal(table).split())
    plain = [render_markdown(table).replace("\\", ""), render_latex(table).replace("\\", "")]
    for text in (in_lines, *plain):
        assert all(sentence in text for sentence in sentences)
    (shown,) = json.loads(render_json(table))
    assert [len(row["remarks"]) for row in shown["rows"]] == [1, 2, 2]
    lines = render_csv(table).splitlines()
    assert lines[0].endswith(",remarks")
    assert lines[3].endswith(f"{everyone}; its answers depend on chance")


def test_a_teacher_of_other_images_is_noticed(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """The card of its file knows; digits' own networks are of the suite's images."""
    notice.cache_clear()
    assert loaded().remarks == ()
    suite = small_suite(dataset={"name": "image-folder", "params": {"test_images": 7}})
    folder = tmp_path / "images"
    folder.mkdir()
    _write_images(folder)
    places = Places(data={"image-folder": str(folder)})
    context = load_context(suite, installed_registry(), "cpu", places)
    tuning, evaluation = context.remarks
    own = loaded().dataset.train.fingerprint[:12]
    assert tuning == (
        f"the tuning teacher digits-ddpmpp was trained on other images than rows imitate from "
        f"(those of 'digits' with fingerprint {own}, not {context.dataset.train.fingerprint[:12]})"
    )
    assert caplog.messages[-2:] == [tuning, evaluation], "before any work"
    assert evaluation.startswith("the evaluation teacher digits-ncsnpp was trained on other images")


def _write_images(folder: Path) -> None:
    image = pytest.importorskip("PIL.Image")
    codes = loaded().dataset.train.images[:20, 0].numpy() * 15
    for number, pixels in enumerate(codes):
        image.fromarray(pixels).save(folder / f"{number:03}.png")
