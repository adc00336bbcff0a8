"""What strangers print is in a file of their row, and nowhere else."""

import io
import logging
import sys
from pathlib import Path

import pytest

from fpmc_bench.errors import DiskError
from fpmc_bench.harness import prints
from fpmc_bench.harness.prints import log_of, printed_into, remove_empty


def test_prints_are_appended_to_the_file_and_what_we_say_is_said(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    path = log_of(tmp_path, "mine.sample-mse")
    with printed_into(path):
        print("one", flush=True)
        sys.stdout.buffer.write(b"two\n")
        logging.getLogger("fpmc_bench.test").warning("three")
    with printed_into(path):
        sys.stderr.write("half a line")
        sys.stderr.close()
    with printed_into(None):
        print("as ever")
    assert capsys.readouterr() == ("as ever\n", "")
    assert caplog.messages == ["three"]
    assert path.read_text() == "one\ntwo\nhalf a line"


def test_where_no_log_can_be_is_the_disks_fault_and_not_the_rows(tmp_path: Path) -> None:
    (tmp_path / "logs").write_text("in its place")
    with (
        pytest.raises(DiskError, match=r"mine\.log, where prints go, can't be written"),
        printed_into(log_of(tmp_path, "mine")),
    ):
        pass


def test_a_flood_ends_somewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(prints, "MOST_BYTES", 5000)
    path = tmp_path / "logs" / "a.log"
    for _ in range(2):
        with printed_into(path):
            for number in range(1000):
                print("line", number)
        text = path.read_text()
        assert text.startswith("line 0\n")
        assert text.endswith("[what follows is left out: this is 10 MiB]\n")
        assert len(text) < 5100


def test_rows_that_print_nothing_leave_nothing(tmp_path: Path) -> None:
    with printed_into(log_of(tmp_path, "silent")):
        pass
    assert log_of(tmp_path, "silent").exists()
    remove_empty(tmp_path)
    assert not (tmp_path / "logs").exists()
    with printed_into(log_of(tmp_path, "loud")):
        print("!")
    remove_empty(tmp_path)
    remove_empty(tmp_path / "nowhere")
    assert log_of(tmp_path, "loud").read_text() == "!\n"


def test_breakpoint_asks_where_the_user_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "mine.log"
    monkeypatch.delenv("PYTHONBREAKPOINT", raising=False)
    monkeypatch.setattr(sys, "breakpointhook", sys.__breakpointhook__)  # pytest has its own
    monkeypatch.setattr(sys, "stdin", io.StringIO("p 6 * 7\nc\n"))
    trace = sys.gettrace()
    with printed_into(path):
        breakpoint()
        print("went on")
    sys.settrace(trace)
    assert "(Pdb) 42\n" in capsys.readouterr().err
    assert path.read_text() == "went on\n"
