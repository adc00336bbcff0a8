"""Boxes: what a process is at stands in a file, and what is made of it when the process is gone."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from fpmc_bench.documents.failure import failure_of
from fpmc_bench.errors import UsageError
from fpmc_bench.harness.cluster.blackbox import (
    BlackBox,
    box_of_process,
    folder_of_boxes,
    identity_of,
)
from fpmc_bench.harness.cluster.endings import (
    Ending,
    as_text,
    blamed,
    endings,
    from_text,
    note_statuses,
)

ROW, WHAT = "mine.sample-mse", "'mine' was asked for items 0 to 1"
AT = f"""
import ctypes, faulthandler, os, signal, sys, time
from fpmc_bench.harness.cluster import blackbox

blackbox.open_box()
with blackbox.box_of_process({{limit}}).at(["{ROW}"], "{WHAT}"):
    {{act}}
"""


@pytest.fixture
def box(tmp_path: Path) -> tuple[BlackBox, Path]:
    path = tmp_path / "1-0.00.box"
    return BlackBox(os.open(path, os.O_CREAT | os.O_RDWR | os.O_APPEND)), path


@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")  # from Python 3.12 on
def test_a_box_says_what_a_process_is_at_and_is_empty_when_it_goes_on(
    box: tuple[BlackBox, Path], tmp_path: Path
) -> None:
    own, path = box
    with own.at([ROW], WHAT):
        if child := os.fork():
            os.waitpid(child, 0)
            (found,) = endings(tmp_path)
    if not child:
        os._exit(0)
    assert (found.at.rows, found.at.what) == ((ROW,), WHAT), "also where a child has left the block"
    assert path.read_bytes() == b""
    with pytest.raises(ValueError, match="no"), own.at([ROW], WHAT):
        raise ValueError("no")
    assert path.read_bytes() == b""
    with pytest.raises(KeyboardInterrupt), own.at([ROW], WHAT):
        raise KeyboardInterrupt
    assert endings(tmp_path) == [], "whoever told it to stop knows"
    note_statuses(tmp_path, {1: -15})
    assert [one.status for one in endings(tmp_path)] == [-15], "but nobody did"


def ended(folder: Path, act: str, limit: float | None = None) -> Ending:
    """How a process ended that did so in its box, as its launcher reads it."""
    with subprocess.Popen(
        (sys.executable, "-c", AT.format(act=act, limit=limit)),
        env={**os.environ, "FPMC_BENCH_BOXES": str(folder)},
    ) as process:
        status = process.wait(60)
    note_statuses(folder, {process.pid: status})
    (found,) = endings(folder)
    return found


@pytest.mark.parametrize(
    ("act", "limit", "own", "reason"),
    [
        ("ctypes.string_at(0)", None, True,
         f"it crashed the interpreter (Segmentation fault) in <string>, line 7 (<module>) "
         f"while {WHAT}"),
        ("os.abort()", None, True,
         f"it crashed the interpreter (Aborted) in <string>, line 7 (<module>) while {WHAT}"),
        ("time.sleep(60)", 0.2, True,
         f"it took longer than --unit-timeout 0.2 s while {WHAT}, and was in <string>, line 7 "
         f"(<module>)"),
        ("os._exit(0)", None, True, f"its process ended with exit status 0 while {WHAT}"),
        ("os.kill(os.getpid(), 9)", 60, False, f"its process was ended by SIGKILL while {WHAT}"),
    ],
)  # fmt: skip
def test_how_a_process_ended_is_a_line(
    tmp_path: Path, act: str, limit: float | None, own: bool, reason: str
) -> None:
    found = ended(tmp_path, act, limit)
    line = "".join(c for c in reason if not c.isdigit())
    assert "".join(c for c in found.reason if not c.isdigit()) == line, "numbers of lines may move"
    assert found.is_its_own is own
    assert failure_of(ROW, found.report).reason == found.reason
    assert from_text(as_text([found])) == [found]


def test_a_killed_process_is_its_rows_fault_the_second_time(tmp_path: Path) -> None:
    killed = ended(tmp_path, "os.kill(os.getpid(), 9)")
    again = Ending("another", killed.at, "", -9)
    assert blamed([killed]) == blamed([killed, killed]) == {}
    assert blamed([killed, again]) == {ROW: f"{killed.reason}; it was the second time\n"}
    crashed = Ending("another", killed.at, "Fatal Python error: Aborted", -6)
    assert blamed([crashed]) == {ROW: crashed.report}


def test_boxes_of_processes_that_go_on_are_not_read(tmp_path: Path) -> None:
    own = os.getpid()
    path = tmp_path / f"{identity_of(own)}.box"
    path.write_text('{"rows": ["a"], "what": "b", "limit_s": null}\n')
    assert endings(tmp_path) == []
    assert len(endings(path.rename(tmp_path / f"{own}-1.00.box").parent)) == 1


def test_where_nobody_starts_processes_again_there_is_no_limit(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    assert box_of_process() == BlackBox()
    with pytest.raises(UsageError, match="leave --no-isolate out, give torchrun --max-restarts"):
        box_of_process(1.0)
    assert folder_of_boxes() is None
    monkeypatch.setenv("TORCHELASTIC_RUN_ID", "none")
    assert folder_of_boxes() is None
    monkeypatch.setenv("TORCHELASTIC_MAX_RESTARTS", "1")
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    folder = folder_of_boxes()
    assert folder is not None
    assert folder.parent == tmp_path
    assert folder.name.endswith(identity_of(os.getppid()))
    assert folder.stat().st_mode & 0o077 == 0
    over = folder.with_name(folder.name.replace(str(os.getppid()), "1"))
    over.mkdir()
    assert folder_of_boxes() == folder
    assert list(tmp_path.iterdir()) == [folder], "that of a launch that is over is gone"
    monkeypatch.setenv("FPMC_BENCH_BOXES", str(over))
    assert folder_of_boxes() == over
