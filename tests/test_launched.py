"""Several processes: how they meet, and that whatever ends them is one line."""

import re
import signal
import subprocess
import sys
import time
from datetime import timedelta
from pathlib import Path

import psutil
import pytest
from in_process import call
from runs import environment, write_plugin

from fpmc_bench.errors import RunError, UsageError
from fpmc_bench.harness.cluster import meeting
from fpmc_bench.harness.cluster.launcher import _told
from fpmc_bench.harness.cluster.processes import Processes, join_processes
from fpmc_bench.images.notices import notice
from fpmc_bench.launched import is_main, launched

WHOLE = {"RANK": "1", "WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": "1"}


@pytest.fixture
def variables(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    for name in WHOLE:
        monkeypatch.delenv(name, raising=False)
    return monkeypatch


@pytest.mark.parametrize(
    "given", [{}, {"WORLD_SIZE": "1"}, {"WORLD_SIZE": "1", "RANK": "0"}, {"RANK": "3"}]
)
def test_without_others_a_process_is_alone_and_speaks(
    variables: pytest.MonkeyPatch, given: dict[str, str], caplog: pytest.LogCaptureFixture
) -> None:
    for name, value in given.items():
        variables.setenv(name, value)
    assert (launched(), is_main()) == ((0, 1), True)
    notice.cache_clear()
    notice("a line")
    assert caplog.messages == ["a line"]
    assert join_processes("cpu") == Processes(0, 1, "cpu")


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        ({"MASTER_PORT": ""}, r"\(no MASTER_PORT\)"),
        ({"MASTER_ADDR": "", "MASTER_PORT": ""}, r"\(no MASTER_ADDR, MASTER_PORT\)"),
        ({"RANK": ""}, r"\(no RANK\)"),
        ({"RANK": "2"}, "RANK from 0 and below WORLD_SIZE"),
        ({"WORLD_SIZE": "many"}, "expected whole numbers"),
    ],
)
def test_half_a_launcher_is_refused(
    variables: pytest.MonkeyPatch, changes: dict[str, str], complaint: str
) -> None:
    for name, value in {**WHOLE, **changes}.items():
        variables.setenv(name, value)
    with pytest.raises(UsageError, match=complaint) as refusal:
        launched()
    assert "env -u RANK" in str(refusal.value)


def test_processes_of_ones_own_under_a_launcher_are_refused(
    tmp_path: Path, variables: pytest.MonkeyPatch
) -> None:
    for name, value in {**WHOLE, "RANK": "0"}.items():
        variables.setenv(name, value)
    status, _, err = call(("run", "--processes", "2"), tmp_path, ())
    assert status == 2
    assert "--processes 2 starts processes of its own, but this one is one of 2 already" in err


def test_whoever_does_not_come_is_waited_for_so_long(
    variables: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    variables.setattr(meeting, "TIMEOUT", timedelta(seconds=1.5))
    variables.setattr(meeting, "SILENT_SECONDS", 0.2)
    for name, value in WHOLE.items():
        variables.setenv(name, value)
    with pytest.raises(RunError, match=r"process 1 of 2.*did not meet the others at 127"):
        join_processes("cpu")
    assert "process 1 of 2 (RANK, WORLD_SIZE) waits for the others at" in capsys.readouterr().err


WAITING = """
import torch
from fpmc_bench.harness.cluster import meeting, processes

meeting.SILENT_SECONDS = 0.2
processes.join_processes("cpu")
"""


def test_ctrl_c_ends_the_waiting() -> None:
    variables = {**environment(), **WHOLE, "RANK": "0", "MASTER_PORT": "0"}
    with subprocess.Popen(
        (sys.executable, "-c", WAITING), env=variables, stderr=subprocess.PIPE, text=True
    ) as waiting:
        assert waiting.stderr is not None
        assert "waits for the others" in waiting.stderr.readline()
        waiting.send_signal(signal.SIGINT)
        assert waiting.wait(20) == -signal.SIGINT


@pytest.mark.parametrize(
    ("status", "returned", "said"),
    [
        (1, 1, ""),
        (2, 2, ""),
        (5, 1, "process 1 of 2 ended with exit status 5, without a word"),
        (-9, 1, "was ended by SIGKILL; .* fewer --processes or a smaller --memory-budget"),
        (-11, 1, "was ended by SIGSEGV; the others were stopped; finished work is kept"),
    ],
)
def test_a_status_is_told_where_a_process_could_not(
    capsys: pytest.CaptureFixture[str], status: int, returned: int, said: str
) -> None:
    assert _told("process 1 of 2", status) == returned
    err = capsys.readouterr().err
    assert _told("it", status, alone=True) == returned
    assert not re.search("others|--processes", capsys.readouterr().err)
    assert re.search(said, err)
    assert len(err.splitlines()) == bool(said)


BUSY = """
    import os
    import time
    from pathlib import Path

    Path(f"busy-{os.environ['RANK']}").touch()
    time.sleep(60)
"""
"""A plugin that is never imported to its end."""


@pytest.mark.parametrize(
    ("ended", "sent", "status", "said"),
    [
        ("worker", signal.SIGKILL, 1, "process 1 of 2 was ended by SIGKILL"),
        ("launcher", signal.SIGINT, -signal.SIGINT, "stopped by SIGINT"),
        ("launcher", signal.SIGTERM, -signal.SIGTERM, "stopped by SIGTERM"),
    ],
)
def test_whatever_ends_them_is_one_line(
    tmp_path: Path, ended: str, sent: signal.Signals, status: int, said: str
) -> None:
    """And nobody goes on; `runs.kill_when` is the test of a launcher that is killed."""
    site = write_plugin(tmp_path / "site", "busy", BUSY)
    command = (sys.executable, "-m", "fpmc_bench", "run", "--processes", "2")
    with subprocess.Popen(
        command, cwd=tmp_path, env=environment(site), stderr=subprocess.PIPE, text=True
    ) as launcher:
        deadline = time.monotonic() + 120
        while not all((tmp_path / f"busy-{rank}").exists() for rank in range(2)):
            assert time.monotonic() < deadline
            assert launcher.poll() is None
            time.sleep(0.02)
        workers = psutil.Process(launcher.pid).children(recursive=True)
        ranks = {one.environ()["RANK"]: one for one in workers if "RANK" in one.environ()}
        (ranks["1"] if ended == "worker" else launcher).send_signal(sent)
        began = time.monotonic()
        _, err = launcher.communicate(timeout=60)
        assert time.monotonic() < began + 10
    assert launcher.returncode == status
    (line,) = err.splitlines()
    assert line.startswith(f"fpmc-bench: {said}")
    assert "finished work is kept" in line
    assert not psutil.wait_procs(workers, timeout=10)[1]
