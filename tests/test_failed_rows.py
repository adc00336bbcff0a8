"""Rows without figures: last in every table, with the reason in a line."""

import json
from pathlib import Path

import pandas as pd
import pytest
from runs import fpmc_bench
from synthetic_records import write_exact_records

from fpmc_bench.documents.failure import Failure, failure_of, read_failures, write_failures
from fpmc_bench.documents.record import read_records
from fpmc_bench.errors import RunError
from fpmc_bench.results.render.csv import render_csv
from fpmc_bench.results.table import FailedRow, build_tables

TRACEBACK = """Traceback (most recent call last):
  File "a.py", line 3, in run
    predict(z)
    ~~~~~~~^^^
  File "b.py", line 9, in predict
    raise RuntimeError("the roof\\nis on fire")
RuntimeError: the roof   is on fire
  and so is the cellar
"""
FIRE = "RuntimeError: the roof is on fire"


@pytest.fixture
def board(tmp_path: Path) -> Path:
    """A run directory where `mine` failed under one protocol."""
    write_exact_records(tmp_path / "records")
    write_failures(tmp_path, [failure_of("mine.v2.sample-mse", TRACEBACK)])
    return tmp_path


@pytest.mark.parametrize(
    ("report", "reason"),
    [
        (TRACEBACK, FIRE),
        (f"ValueError: a\n\nDuring handling:\n\n{TRACEBACK}", FIRE),
        ("2 of 3 blocks are lost", "2 of 3 blocks are lost"),
        ("KeyError", "KeyError"),
        ("fpmc_bench.errors.PluginError: 'mine' returned None", "'mine' returned None"),
        ("OSError: no '/home/me/my.npy', a/b/c", "OSError: no 'my.npy', a/b/c"),
        ("", "no reason was given"),
        ("x" * 500, "x" * 197 + "..."),
    ],
)
def test_the_reason_is_the_line_that_names_the_error(report: str, reason: str) -> None:
    assert failure_of("a.b.denoiser-mse", report) == Failure(
        entry="a.b", protocol="denoiser-mse", reason=reason
    )


def test_they_are_kept_while_there_are_any(tmp_path: Path) -> None:
    assert read_failures(tmp_path) == ()
    failures = (failure_of("a.sample-mse", "no"), failure_of("b.sample-mse", "no"))
    write_failures(tmp_path, failures)
    assert read_failures(tmp_path) == failures
    write_failures(tmp_path, ())
    assert not (tmp_path / "failures.json").exists()


@pytest.mark.parametrize("content", ["", "[]", '{"failures": [{"entry": "a"}]}', "\\x00"])
def test_a_damaged_file_is_named(tmp_path: Path, content: str) -> None:
    (tmp_path / "failures.json").write_text(content)
    with pytest.raises(RunError, match=r"failures\.json is damaged"):
        read_failures(tmp_path)


def test_a_table_has_those_of_its_protocol_that_have_no_record(board: Path) -> None:
    failures = (*read_failures(board), failure_of("ls.sample-mse", "stale"))
    denoising, sampling = build_tables(read_records(board / "records"), failures)
    assert denoising.failed == ()
    assert sampling.failed == (FailedRow("mine.v2", FIRE),)
    assert sampling.caption[-1] == f"mine.v2 failed: {FIRE}"


@pytest.mark.parametrize("form", ["terminal", "md", "tex"])
def test_people_see_them_last(board: Path, form: str) -> None:
    done = fpmc_bench("leaderboard", "render", board, "-p", "sample-mse", "-f", form, cwd=board)
    lines = done.stdout.splitlines()
    (last,) = [number for number, line in enumerate(lines) if "mine.v2 (failed)" in line]
    assert last > max(number for number, line in enumerate(lines) if "optimal" in line)
    assert "—" in lines[last] or r"\textemdash{}" in lines[last]
    assert FIRE in " ".join(done.stdout.split())


def test_programs_see_them(board: Path) -> None:
    tables = build_tables(read_records(board / "records"), read_failures(board))
    (board / "tables.csv").write_text(render_csv(*tables))
    frame = pd.read_csv(board / "tables.csv")
    last = frame.iloc[-1]
    assert (last.entry, last.role, last.reason) == ("mine.v2", "failed", FIRE)
    assert pd.isna(last["rank"])
    assert pd.isna(last.mse)
    assert frame.reason.isna().sum() == len(frame) - 1
    done = fpmc_bench("leaderboard", "render", board, "--json", cwd=board)
    assert [table["failed"] for table in json.loads(done.stdout)] == [
        [],
        [{"entry": "mine.v2", "reason": FIRE}],
    ]
