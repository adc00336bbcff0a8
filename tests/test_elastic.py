"""torchrun --max-restarts: processes that are started again meet, go on, and lose nothing."""

import signal
import socket
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from itertools import count
from pathlib import Path

import psutil
import pytest
from runs import environment, figures, fpmc_bench, write_plugin, write_suite
from stopping import started
from torch.distributed import HashStore, Store

from fpmc_bench.errors import RunError
from fpmc_bench.harness.cluster import attempts, meeting
from fpmc_bench.harness.cluster.attempts import begins
from fpmc_bench.launched import ELASTIC, OURS, RESTARTS, speaks
from fpmc_bench.storage import folders
from fpmc_bench.storage.folders import locked


def meet(store: Store) -> list[str]:
    """The names that three processes agree on."""
    with ThreadPoolExecutor() as threads:
        others = [threads.submit(meeting._answered, store, rank) for rank in (1, 2)]
        return [meeting._called(store, 3), *(other.result() for other in others)]


def test_processes_meet_where_others_have_met(monkeypatch: pytest.MonkeyPatch) -> None:
    """Though all that those wrote is still there, as an agent's store keeps it."""
    monkeypatch.setattr(meeting, "LOOK_SECONDS", 0.001)
    store = HashStore()
    names = [meet(store) for _ in range(3)]
    assert [len(set(one)) for one in names] == [1, 1, 1]
    assert len({one[0] for one in names}) == 3


def test_a_launcher_that_starts_a_command_again_does_not_begin_it_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv(OURS, raising=False)
    monkeypatch.delenv(ELASTIC, raising=False)
    assert [begins(tmp_path), begins(tmp_path)] == [True, True]
    monkeypatch.setenv(ELASTIC, "none")
    for expected in (True, False):
        monkeypatch.setattr(attempts, "_begun", count(1))  # as in a new process
        assert begins(tmp_path) is expected
    assert begins(tmp_path)  # what a script runs there next
    (tmp_path / attempts.NOTE).write_text("machine 1 123.45 1")
    monkeypatch.setattr(attempts, "_begun", count(1))
    assert begins(tmp_path)


def test_under_torchrun_a_folder_is_waited_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    held, leave = threading.Event(), threading.Event()

    def hold() -> None:
        with locked(tmp_path, "run", "--run-dir"):
            held.set()
            leave.wait(30)

    monkeypatch.delenv(ELASTIC, raising=False)
    with ThreadPoolExecutor() as threads:
        holding = threads.submit(hold)
        assert held.wait(30)
        monkeypatch.setenv(ELASTIC, "none")
        monkeypatch.setattr(folders, "ENDING_SECONDS", 0.2)
        used = pytest.raises(RunError, match="is in use by another run")
        with used, locked(tmp_path, "run", "--run-dir"):
            pass
        monkeypatch.setattr(folders, "ENDING_SECONDS", 30)
        threading.Timer(0.1, leave.set).start()
        with locked(tmp_path, "run", "--run-dir"):
            assert leave.is_set()
        holding.result()


@pytest.mark.parametrize(
    ("variables", "expected"),
    [
        ({}, (True, True)),
        ({"WORLD_SIZE": "2", "RANK": "1"}, (False, False)),
        ({"WORLD_SIZE": "2", "RANK": "0", OURS: "1"}, (False, False)),
        ({"WORLD_SIZE": "2", "RANK": "0", ELASTIC: "x", RESTARTS: "0"}, (True, True)),
        ({"WORLD_SIZE": "2", "RANK": "0", ELASTIC: "x", RESTARTS: "3"}, (True, False)),
    ],
)
def test_one_process_says_that_a_signal_has_ended_it(
    variables: dict[str, str], expected: tuple[bool, bool], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whether it was (SIGINT, SIGTERM); the latter is how torchrun starts processes again."""
    for name in ("WORLD_SIZE", "RANK", OURS, ELASTIC, RESTARTS):
        monkeypatch.delenv(name, raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert (speaks(signal.SIGINT), speaks(signal.SIGTERM)) == expected


KILLED = """
    import os
    import signal
    from dataclasses import dataclass
    from pathlib import Path
    from typing import ClassVar
    from fpmc_bench import hookimpl
    from fpmc_bench.contracts import FunctionDenoiser

    @dataclass(frozen=True)
    class Killed(FunctionDenoiser):
        name: ClassVar[str] = "killed"
        citation: ClassVar[str] = "none"

        def build(self, setting):
            def denoise(z, sigma):
                if "TORCHELASTIC_RUN_ID" in os.environ:
                    try:
                        Path("began").touch(exist_ok=False)
                    except FileExistsError:
                        return 0.5 * z
                    os.kill(os.getpid(), signal.SIGKILL)
                return 0.5 * z

            return denoise

    @hookimpl
    def fpmc_denoisers():
        return [Killed]
"""
"""The first process that comes to it is killed, once."""


def test_a_worker_that_is_killed_is_started_again_and_the_records_are_the_same(
    tmp_path: Path,
) -> None:
    site = write_plugin(tmp_path / "site", "killed", KILLED)
    write_suite(tmp_path)
    run = ("run", "small.toml", "-d", "killed", "-p", "denoiser-mse", "--quiet")
    launcher = ("-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2")
    arguments = (*launcher, "--max-restarts", "1", "-m", "fpmc_bench", *run, "--run-dir", "again")
    with started((sys.executable, *arguments), tmp_path, env=environment(site)) as agent:
        out, err = agent.communicate(timeout=120)
    assert agent.returncode == 0, err
    assert "failed (exitcode: -9)" in err  # as the agent says
    assert "fpmc-bench:" not in err
    assert out.count("Suite small") == 1
    done = fpmc_bench(*run, "--run-dir", "whole", cwd=tmp_path, paths=(site,))
    assert done.returncode == 0, done.stderr
    assert figures(tmp_path / "again") == figures(tmp_path / "whole")


NAPS = """
    import time
    from dataclasses import dataclass
    from typing import ClassVar
    from fpmc_bench import hookimpl
    from fpmc_bench.contracts import FunctionDenoiser

    @dataclass(frozen=True)
    class Naps(FunctionDenoiser):
        name: ClassVar[str] = "naps"
        citation: ClassVar[str] = "none"

        def build(self, setting):
            def denoise(z, sigma):
                time.sleep(0.25)
                return 0.5 * z

            return denoise

    @hookimpl
    def fpmc_denoisers():
        return [Naps]
"""


@pytest.mark.slow
def test_a_machine_leaves_and_another_joins(tmp_path: Path) -> None:
    """Agents on this one: the second is killed with its worker at work, the third comes later."""
    site = write_plugin(tmp_path / "site", "naps", NAPS)
    write_suite(tmp_path)
    (tmp_path / "began").touch()
    run = ("run", "small.toml", "-d", "naps", "-p", "denoiser-mse", "--items", "48", "--quiet")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        endpoint = f"127.0.0.1:{free.getsockname()[1]}"
    options = {
        "--nnodes": "1:4",
        "--max-restarts": "3",
        "--rdzv-backend": "c10d",
        "--rdzv-endpoint": endpoint,
        "--rdzv-id": "x",
        "--rdzv-conf": "last_call_timeout=3,keep_alive_interval=1",
    }
    given = [text for option in options.items() for text in option]
    command = (sys.executable, "-m", "torch.distributed.run", *given, "-m", "fpmc_bench", *run)
    variables = {**environment(site), "TORCH_DISABLE_SHARE_RDZV_TCP_STORE": "1"}

    def agent() -> AbstractContextManager["subprocess.Popen[str]"]:
        return started((*command, "--run-dir", "elastic"), tmp_path, env=variables)

    def wait_for_units(more: int) -> None:
        def finished() -> int:
            return len(list((tmp_path / "elastic" / "ledger").glob("*.npz")))

        enough, deadline = finished() + more, time.monotonic() + 200
        while finished() < enough:
            assert time.monotonic() < deadline
            time.sleep(0.05)

    with agent() as first:
        time.sleep(1)  # it keeps the rendezvous, for it is the first
        with agent() as second:
            wait_for_units(30)
            worker = psutil.Process(second.pid).children()
            second.kill()
        assert not psutil.wait_procs(worker, timeout=10)[1]
        with agent() as third:
            wait_for_units(1)
            out = [one.communicate(timeout=200) for one in (first, third)]
        assert [first.returncode, third.returncode] == [0, 0], out
    done = fpmc_bench(*run, "--run-dir", "whole", cwd=tmp_path, paths=(site,))
    assert done.returncode == 0, done.stderr
    assert figures(tmp_path / "elastic") == figures(tmp_path / "whole")
