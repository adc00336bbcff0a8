"""Ctrl-C and SIGTERM: whatever a process is at, it ends in seconds, says so and loses nothing."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest
from runs import environment, figures, fpmc_bench, write_plugin, write_suite
from stopping import started

from fpmc_bench.catalog.strangers import strangers_code
from fpmc_bench.errors import PluginError

PROGRAM = """
import atexit, builtins, hashlib, os, signal, subprocess, sys, time
from pathlib import Path
from fpmc_bench.interruptions import at_any_end, keeping, stoppable, waiting

def begin():
    Path("began").touch()

def compute():  # in C, where no handler of Python's runs
    begin()
    hashlib.pbkdf2_hmac("sha256", b"", b"", 10**9)

def keep_on():
    begin()
    while True:
        try:
            time.sleep(60)
        except BaseException:
            pass

def sleep():
    begin()
    time.sleep(60)

def load():
    Path("loaded.py").write_text("try: begin(); time.sleep(60)\\nexcept BaseException: keep_on()")
    vars(builtins).update(begin=begin, time=time, keep_on=keep_on)
    sys.path.insert(0, "")
    import loaded

class Dropped:
    def __del__(self):
        sleep()

atexit.register(Path("exited").touch)
with stoppable(lambda _: True), keeping("kept"):
    subprocess.Popen(["sleep", "60"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    with at_any_end(Path("ended").touch):
        {body}
"""


def program(folder: Path, body: str, *, grace: float = 1.0) -> list[str | Path]:
    path = folder / "program.py"
    text = PROGRAM.replace("{body}", body).replace('keeping("kept")', f'keeping("kept", {grace})')
    path.write_text(text)
    return [sys.executable, path]


@pytest.mark.parametrize(
    ("sent", "body", "seconds", "exited"),
    [
        (signal.SIGINT, "sleep()", (0, 1), True),
        (signal.SIGTERM, "compute()", (1, 6), False),
        (signal.SIGINT, "keep_on()", (1, 6), False),
        (signal.SIGTERM, "with waiting(): compute()", (0, 1), False),
        (signal.SIGTERM, "load()", (0, 1), False),
        (signal.SIGINT, "Dropped(); keep_on()", (0, 1), False),
    ],
)
def test_a_process_dies_of_a_signal_whatever_it_is_at(
    tmp_path: Path,
    sent: signal.Signals,
    body: str,
    seconds: tuple[float, float],
    exited: bool,
) -> None:
    """At once, or when its grace is over; with all that is to be done and all it has started."""
    with started(program(tmp_path, body), tmp_path) as process:
        children = psutil.Process(process.pid).children()
        began = time.monotonic()
        process.send_signal(sent)
        _, err = process.communicate(timeout=20)
        took = time.monotonic() - began
    assert process.returncode == -sent
    assert err == f"fpmc-bench: stopped by {sent.name}; kept\n"
    assert seconds[0] <= took < seconds[1]
    assert (tmp_path / "ended").exists()
    assert (tmp_path / "exited").exists() == exited
    assert len(children) == 1
    assert not psutil.wait_procs(children, timeout=5)[1]


def test_a_second_signal_ends_at_once_and_the_same_one_twice_is_one(tmp_path: Path) -> None:
    """As `timeout` sends it: to a process, and to its group."""
    with started(program(tmp_path, "keep_on()", grace=30), tmp_path) as process:
        process.send_signal(signal.SIGTERM)
        time.sleep(0.05)
        process.send_signal(signal.SIGTERM)
        with pytest.raises(subprocess.TimeoutExpired):
            process.wait(1)
        process.send_signal(signal.SIGINT)
        assert process.wait(2) == -signal.SIGINT
    assert not (tmp_path / "ended").exists()


LOOP = 'for turn in 1 2 3; do "$0" "$1"; echo turn >> turns; rm began; done'


def test_a_shell_leaves_its_loop(tmp_path: Path) -> None:
    """Which it does where a process has died of Ctrl-C, and not where it exits with 130."""
    command = ["bash", "-c", LOOP, *program(tmp_path, "sleep()")]
    with started(command, tmp_path, start_new_session=True) as shell:
        os.killpg(shell.pid, signal.SIGINT)
        assert shell.wait(5) == -signal.SIGINT
    assert not (tmp_path / "turns").exists()


def test_what_is_ignored_stays_so_and_a_signal_to_what_it_forks_is_anothers(tmp_path: Path) -> None:
    body = """signal.signal(signal.SIGTERM, signal.SIG_DFL)
        child = os.fork()
        if not child:
            time.sleep(60)
        time.sleep(0.1)
        os.kill(child, signal.SIGTERM)
        print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
        signal.raise_signal(signal.SIGINT)
        begin()
        time.sleep(0.5)"""
    command = program(tmp_path, body, grace=0)
    with started(command, tmp_path, ignored=(signal.SIGINT,)) as process:
        out, err = process.communicate(timeout=20)
    assert (process.returncode, out, err) == (0, f"{-signal.SIGTERM}\n", "")


@pytest.mark.parametrize("made_of_it", [None, ValueError("another"), SystemExit(0)])
def test_no_stranger_makes_another_error_of_a_real_signal(made_of_it: BaseException | None) -> None:
    def call() -> None:
        try:
            signal.raise_signal(signal.SIGINT)
        except BaseException:
            if made_of_it:
                raise made_of_it from None

    with pytest.raises(KeyboardInterrupt), strangers_code("x"), strangers_code("y"):
        call()
    with pytest.raises(PluginError, match="x raised KeyboardInterrupt"), strangers_code("x"):
        raise KeyboardInterrupt


SLOW = """
    import os
    import time
    from dataclasses import dataclass
    from pathlib import Path
    from typing import ClassVar
    from fpmc_bench import hookimpl
    from fpmc_bench.contracts import FunctionDenoiser, Listener

    @dataclass(frozen=True)
    class Slow(FunctionDenoiser):
        name: ClassVar[str] = "slow"
        citation: ClassVar[str] = "none"

        def build(self, setting):
            def denoise(z, sigma):
                if not Path("quick").exists():
                    Path("began").touch()
                    try:
                        time.sleep(60)
                    except BaseException:
                        raise ValueError("a row's own failure")
                return 0.5 * z

            return denoise

    @dataclass(frozen=True)
    class Ear(Listener):
        name: ClassVar[str] = "ear"
        citation: ClassVar[str] = "none"

        def run_ended(self, failures):
            Path("told").write_text(repr(failures))

    @hookimpl
    def fpmc_denoisers():
        return [Slow]

    @hookimpl
    def fpmc_listeners():
        return [Ear]
"""


def test_a_run_that_is_stopped_in_a_plugin_fails_no_row_and_goes_on(tmp_path: Path) -> None:
    site = write_plugin(tmp_path / "site", "slow", SLOW)
    write_suite(tmp_path)
    chosen = ("-d", "slow", "-p", "denoiser-mse", "--items", "4", "--listener", "ear")
    arguments = ("run", "small.toml", *chosen, "--quiet", "--run-dir")
    command = [sys.executable, "-m", "fpmc_bench", *arguments, "run"]
    with started(command, tmp_path, env=environment(site)) as process:
        process.send_signal(signal.SIGTERM)
        _, err = process.communicate(timeout=10)
    assert process.returncode == -signal.SIGTERM, err
    assert err == (
        "fpmc-bench: stopped by SIGTERM; finished work is kept, and the same command goes on from "
        "there\n"
    )
    assert (tmp_path / "told").read_text() == "{}"
    assert not list((tmp_path / "run").rglob("*.partial*"))
    assert not list((tmp_path / "run").rglob("failures*"))
    (tmp_path / "quick").touch()
    for folder in ("run", "whole"):
        done = fpmc_bench(*arguments, folder, cwd=tmp_path, paths=(site,))
        assert done.returncode == 0, done.stderr
    assert figures(tmp_path / "run") == figures(tmp_path / "whole")
