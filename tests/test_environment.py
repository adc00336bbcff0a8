"""Notes of who computes: the machine, the command without places, the commit of a checkout."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch

import fpmc_bench
from fpmc_bench.engine import EngineSettings
from fpmc_bench.harness import environment
from fpmc_bench.harness.cluster.processes import Processes
from fpmc_bench.harness.environment import Notary, command_line, describe_environment


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (["/home/me/bin/fpmc-bench", "run", "digits"], "fpmc-bench run digits"),
        (["/x/fpmc_bench/__main__.py", "list"], "fpmc-bench list"),
        (
            ["fpmc-bench", "run", "/home/me/mine.toml", "--run-dir", "../runs/a", "--items", "20"],
            "fpmc-bench run mine.toml --run-dir a --items 20",
        ),
        (
            [
                "fpmc-bench",
                "run",
                "--data",
                "cifar10=/data/me/c.tar.gz",
                "--teacher=tuning=~/t.pkl",
            ],
            "fpmc-bench run --data cifar10=c.tar.gz --teacher=tuning=t.pkl",
        ),
        (
            ["fpmc-bench", "run", "-d", "finetuned[weights=C:\\me\\w.safetensors]"],
            "fpmc-bench run -d finetuned[weights=w.safetensors]",
        ),
        (["fpmc-bench", "run", "--run-dir=/tmp/\udcff"], "fpmc-bench run --run-dir=?"),
        (["/home/me/secret/experiment.py", "--token", "abc"], "experiment.py"),
    ],
)
def test_a_command_is_told_without_the_folders_it_names(given: list[str], said: str) -> None:
    assert command_line(given) == said


def test_an_environment_says_what_computes() -> None:
    found = describe_environment(Processes(1, 3, "cpu"), EngineSettings(budget_bytes=2**21))
    assert (found.processes, found.memory_budget_bytes, found.device) == (3, 2**21, "cpu")
    assert found.threads == torch.get_num_threads()
    assert found.versions["torch"] == torch.__version__
    assert found.versions["python"] == ".".join(map(str, sys.version_info[:3]))
    assert found.versions["fpmc_bench"] == fpmc_bench.__version__


def test_a_note_is_dated_in_utc() -> None:
    notary = Notary.of(Processes(0, 1, "cpu"), EngineSettings())
    note = notary.note(2.5)
    assert note.seconds == 2.5
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", note.date_utc)


@pytest.mark.skipif(shutil.which("git") is None, reason="needs git")
def test_the_commit_is_that_of_a_checkout_and_of_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    package = tmp_path / "fpmc_bench"
    package.mkdir()
    (package / "__init__.py").write_text("")
    monkeypatch.setattr(fpmc_bench, "__file__", str(package / "__init__.py"))
    ask = environment.code_commit.__wrapped__
    assert ask() is None

    def git(*arguments: str) -> str:
        known = ["-c", "user.name=a", "-c", "user.email=a@b"]
        done = subprocess.run(
            ["git", *known, *arguments], cwd=tmp_path, check=True, capture_output=True, text=True
        )
        return done.stdout.strip()

    git("init", "-q")
    git("add", "-A")
    git("commit", "-qm", "first")
    git("tag", "v9")  # a tag's name says less than a hash
    commit = git("rev-parse", "HEAD")
    assert ask() == commit
    (package / "__init__.py").write_text("changed = True")
    assert ask() == f"{commit}-dirty"
