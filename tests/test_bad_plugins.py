"""Whatever a plugin does to its process costs its own row: real runs of `bad_plugins.py`."""

import json
import subprocess
from collections.abc import Iterable
from pathlib import Path

import pytest
from bad_plugins import ACTS
from runs import figures, fpmc_bench, fpmc_bench_process, write_suite

BOARD = Path(__file__).parents[1] / "leaderboards" / "digits"
FILE = Path(__file__).with_name("bad_plugins.py")
REASONS = {
    "raises": "ZeroDivisionError: integer division or modulo by zero",
    "exit": "'exit' raised SystemExit: 0; to fail it has to raise an ordinary exception",
    "os-exit": "'os-exit' raised SystemExit: os._exit(3); to fail it has to raise an",
    "libc-exit": "its process ended with exit status 0 while 'libc-exit' was asked for items 0",
    "segfault": "it crashed the interpreter (Segmentation fault) in bad_plugins.py, line ",
    "abort": "it crashed the interpreter (Aborted) in bad_plugins.py, line ",
    "sigkill": "its process was ended by SIGKILL while 'sigkill' was asked for items 0 to 1; it",
    "sigterm": "its process was ended by SIGTERM while 'sigterm' was asked for items 0 to 1; it",
    "endless": "it took longer than --unit-timeout 5 s while 'endless' was asked for items 0 to 1",
    "endless-c": "it took longer than --unit-timeout 5 s while 'endless-c' was asked for items 0",
    "lock": "it took longer than --unit-timeout 5 s while 'lock' was asked for items 0 to 1",
    "directory": "'directory' changed the working directory, which was put back; a plugin must",
    "memory": "MemoryError",
    "recursion": "RecursionError: maximum recursion depth exceeded",
    "nan": "'nan' returned NaN or infinite values at sigma 80",
    "shape": "'shape' returned shape [2, 1, 7, 8] at sigma 80; expected [2, 1, 8, 8], that of",
}
"""Why rows fail; others do nothing that would make a figure wrong."""


def run(folder: Path, acts: Iterable[str], *options: str) -> subprocess.CompletedProcess[str]:
    """A run of rows named after what their plugin does, one that is sound before them all."""
    rows = [("-d", f'{act}={FILE}[how="{act}"]') for act in acts]
    command = ("run", "small.toml", "-p", "denoiser-mse", "--items", "2", "--run-dir", "run")
    chosen = ("-d", "ls", *(part for row in rows for part in row))
    return fpmc_bench_process(*command, *options, *chosen, cwd=folder)


def reasons(folder: Path) -> dict[str, str]:
    """Of the rows that failed."""
    path = folder / "run" / "failures.json"
    return {one["entry"]: one["reason"] for one in json.loads(path.read_text())["failures"]}


def check(folder: Path, acts: Iterable[str], done: subprocess.CompletedProcess[str]) -> None:
    """That each row failed that had to, why, and that the others are what they would be alone."""
    found = reasons(folder)
    assert set(found) == set(acts) & set(REASONS), done.stderr
    for act, reason in found.items():
        assert reason.startswith(REASONS[act])
    assert done.returncode == 1
    alone = fpmc_bench("run", "small.toml", "-p", "denoiser-mse", "--items", "2", "-d", "ls",
                       "--run-dir", "alone", cwd=folder)  # fmt: skip
    assert alone.returncode == 0, alone.stderr
    expected, rows = figures(folder / "alone"), figures(folder / "run")
    assert {name: rows[name] for name in expected} == expected


def test_a_crash_and_a_hang_cost_their_own_rows(tmp_path: Path) -> None:
    write_suite(tmp_path)
    acts = ("segfault", "exit", "endless-c", "prints")
    done = run(tmp_path, acts, "--unit-timeout", "5", "--quiet")
    check(tmp_path, acts, done)
    told = [line for line in done.stderr.splitlines() if line.endswith("; the others go on")]
    assert [line.split()[1] for line in told] == ["segfault.denoiser-mse", "endless-c.denoiser-mse"]
    log = tmp_path / "run" / "logs" / "prints.denoiser-mse.log"
    assert [path.name for path in log.parent.iterdir()] == [log.name]
    lines = {"a line of its own", "past Python", "from a child"}
    assert lines < set(log.read_text().splitlines())
    assert "UserWarning: and a warning" in log.read_text()
    assert not any(line in done.stdout + done.stderr for line in lines)


@pytest.mark.parametrize(
    "command", [("run", "small.toml"), ("verify", str(BOARD)), ("study", "threshold")]
)
def test_a_limit_needs_a_process_that_may_be_lost(tmp_path: Path, command: tuple[str, str]) -> None:
    """In the tests' own process none is."""
    write_suite(tmp_path)
    done = fpmc_bench(*command, "--unit-timeout", "5", "--no-isolate", cwd=tmp_path)
    assert done.returncode == 2
    assert "leave --no-isolate out" in done.stderr


@pytest.mark.slow
def test_every_bad_plugin_costs_its_own_row(tmp_path: Path) -> None:
    write_suite(tmp_path)
    acts = [act for act in ACTS if act]
    check(tmp_path, acts, run(tmp_path, acts, "--unit-timeout", "5", "--quiet"))
