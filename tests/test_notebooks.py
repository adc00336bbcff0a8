"""Python for notebooks: docs/notebooks.md as it stands, frames, tables as HTML, and short reprs."""

import contextlib
import io
import re
import sys
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
import torch
from synthetic_records import write_exact_records, write_synthetic

from fpmc_bench import FPMC, Places, Source, build_denoiser, load_dataset, load_suite, load_teacher
from fpmc_bench.catalog.built import BuiltDenoiser
from fpmc_bench.documents.record import read_records
from fpmc_bench.errors import RunError, UsageError
from fpmc_bench.fpmc import Dense, Uniform
from fpmc_bench.fpmc.shapes import ImageShape
from fpmc_bench.jobs.outcome import RunOutcome
from fpmc_bench.results.reading import read_tables
from fpmc_bench.results.render.html import render_html
from fpmc_bench.telling.bars import shows_bars

PAGE = Path(__file__).parents[1] / "docs" / "notebooks.md"
BLOCK = re.compile(r"```(python|text)\n(.*?)```", re.DOTALL)
NUMBER = re.compile(r"-?\d+\.\d+(?:e[+-]?\d+)?")


def blocks() -> Iterator[tuple[str, str]]:
    """The code of the page, each with the output that stands below it."""
    found = [(one[1], one[2]) for one in BLOCK.finditer(PAGE.read_text(encoding="utf-8"))]
    for (kind, text), (next_kind, following) in zip(found, [*found[1:], ("", "")], strict=True):
        if kind == "python":
            yield text, following if next_kind == "text" else ""


def test_the_page_does_what_it_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Word by word; numbers to a hundredth, for another processor rounds otherwise."""
    monkeypatch.chdir(tmp_path)
    cells: dict[str, object] = {}
    for code, shown in blocks():
        printed = io.StringIO()
        with contextlib.redirect_stdout(printed), contextlib.redirect_stderr(io.StringIO()):
            exec(compile(code, str(PAGE), "exec"), cells)
        assert NUMBER.sub("#", printed.getvalue()).split() == NUMBER.sub("#", shown).split()
        expected = list(map(float, NUMBER.findall(shown)))
        found = list(map(float, NUMBER.findall(printed.getvalue())))
        assert found == pytest.approx(expected, rel=0.01, abs=2e-4)
    assert (tmp_path / "worst.png").is_file()
    assert "digits: sample-mse</caption>" in cells["outcome"]._repr_html_()  # type: ignore[attr-defined]


@pytest.fixture
def outcome(tmp_path: Path) -> RunOutcome:
    write_exact_records(tmp_path / "records")
    return RunOutcome(tmp_path, (), {}, is_main=True)


def test_a_frame_has_a_line_a_row_and_protocol_or_level(outcome: RunOutcome) -> None:
    frame = outcome.to_frame()
    assert len(frame) == 10
    assert frame.groupby("protocol").size().to_dict() == {"denoiser-mse": 5, "sample-mse": 5}
    best = frame[(frame.protocol == "denoiser-mse") & (frame["rank"] == 1)].iloc[0]
    row = outcome.table("denoiser-mse").rows[1]
    assert (best.entry, best.mse) == (row.entry, row.figures["mse@1"].mean)
    levels = outcome.to_frame(by_sigma=True)
    assert list(levels.columns) == ["suite", "protocol", "entry", "sigma", "mse", "mse_se"]
    assert len(levels) == 5 * 4
    (at,) = levels[(levels.entry == row.entry) & (levels.sigma == 0.5)].mse
    assert at == row.by_sigma[2].mean


def test_one_table_is_chosen_by_its_protocol(outcome: RunOutcome) -> None:
    assert outcome.table("sample-mse").protocol == "sample-mse"
    assert str(outcome.table("sample-mse")).startswith("synthetic: sample-mse\n")
    with pytest.raises(UsageError, match=r"2 tables: choose by table\('denoiser-mse'\) or"):
        outcome.table()
    for path in (outcome.directory / "records").glob("*.sample-mse.*"):
        path.unlink()
    assert outcome.table().protocol == "denoiser-mse"


def test_a_run_without_records_still_shows_itself(tmp_path: Path) -> None:
    nothing = RunOutcome(tmp_path / "<b>", (), {"ls.sample-mse": "Traceback"}, is_main=True)
    assert nothing.tables() == ()
    assert nothing._repr_html_().endswith("&lt;b&gt;: 0 records, 1 failed)")
    with pytest.raises(RunError, match="no records"):
        nothing.to_frame()


class Tags(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_starttag(self, tag: str, attrs: object) -> None:
        self.found.append(tag)


def test_text_of_others_is_text_in_html(tmp_path: Path) -> None:
    """Names of networks and remarks are anybody's."""
    write_synthetic(
        tmp_path,
        "ls",
        {"mse@1": np.ones((8, 4)), "r2@1": np.zeros((8, 4))},
        reference="<script>alert(1)</script> & 'co'",
        remarks=("<img src=x onerror=alert(2)>",),
    )
    shown = render_html(*read_tables(tmp_path))
    tags = Tags()
    tags.feed(shown)
    assert set(tags.found) == {"table", "caption", "thead", "tr", "th", "tbody", "td", "ul", "li"}
    assert "&lt;script&gt;alert(1)&lt;/script&gt; &amp; &#39;co&#39;" in shown
    assert shown == RunOutcome(tmp_path, (), {}, is_main=True).table()._repr_html_()


def shown_things() -> dict[str, tuple[object, str]]:
    digits = load_dataset("digits")
    record, values = read_records(PAGE.parents[1] / "leaderboards" / "digits" / "records")[1]
    denoiser = build_denoiser("optimal", digits.train, sigmas=[1.0])
    assert isinstance(denoiser, BuiltDenoiser)
    shape = ImageShape(1, 2, 2)
    return {
        "suite": (load_suite("digits"), "Suite(digits: "),
        "dataset": (digits, "LoadedDataset(digits: 1297 training images, 500 test images, 1x8x8)"),
        "source": (digits.train, "Source(1297 images 1x8x8, torch.uint8)"),
        "weighted": (Source(torch.zeros(2, 1, 2, 2), torch.zeros(2)), "torch.float32, weighted)"),
        "teacher": (load_teacher("digits-ncsnpp"), "NetworkTeacher(digits-ncsnpp: "),
        "denoiser": (denoiser, "BuiltDenoiser(optimal over Source(1297 images"),
        "FPMC": (denoiser.fpmc(1.0), "FPMC(1 estimators, Uniform / Uniform, 1x8x8)"),
        "filter": (Dense(shape, torch.ones(3, 4)), "Dense(3 estimators, 1x2x2)"),
        "small": (FPMC(Uniform(shape), Uniform(shape)), "1x2x2)"),
        "record": (record, "Record("),
        "values": (values, "ItemValues("),
        "level": (record.per_sigma[0], "SigmaFigures(sigma 80: mse@1 "),
        "places": (Places(), "Places("),
        "outcome": (RunOutcome(Path("here"), (record,), {}, True), "RunOutcome(here: 1 records)"),
        "table": (
            read_tables(PAGE.parents[1] / "leaderboards" / "digits", "sample-mse")[0],
            "Table(digits: sample-mse, ",
        ),
    }


def test_what_a_notebook_shows_is_one_line() -> None:
    for name, (thing, said) in shown_things().items():
        assert said in repr(thing), name
        assert "\n" not in repr(thing), name
        assert len(repr(thing)) < 200, name


def test_bars_suit_where_they_are_shown(recwarn: pytest.WarningsRecorder) -> None:
    """On a terminal text, and no word about widgets."""
    assert not shows_bars(), "a test is no terminal"
    assert not recwarn.list
    assert "ipywidgets" not in sys.modules
