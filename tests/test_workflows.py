"""Workflows of pull requests: they call what is there, trust nobody, and find rows that changed."""

import importlib.util
import re
import subprocess
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import click
import pytest
import yaml

from fpmc_bench.cli import main

REPOSITORY = Path(__file__).parents[1]
WORKFLOWS = sorted((REPOSITORY / ".github" / "workflows").glob("*.yml"))
SCRIPT = REPOSITORY / ".ci" / "verify_changed.py"
each = pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.stem)


def workflow(path: Path) -> dict[Any, Any]:
    content = yaml.safe_load(path.read_text())
    assert isinstance(content, dict)
    return content


def steps(path: Path) -> list[dict[str, Any]]:
    return [step for job in workflow(path)["jobs"].values() for step in job["steps"]]


def test_both_are_there() -> None:
    assert [path.stem for path in WORKFLOWS] == ["checks", "leaderboards"]
    events = {path.stem: workflow(path)[True] for path in WORKFLOWS}  # "on" is YAML for true
    assert set(events["checks"]) == {"push", "pull_request"}
    assert events["leaderboards"] == {"pull_request": {"paths": ["leaderboards/**"]}}


@each
def test_it_may_only_read_and_knows_no_secret(path: Path) -> None:
    assert workflow(path)["permissions"] == {"contents": "read"}
    assert all("permissions" not in job for job in workflow(path)["jobs"].values())
    assert "secrets" not in path.read_text()
    for step in steps(path):
        assert "${{" not in step.get("run", ""), "what others wrote would be part of a shell's line"
        if action := step.get("uses"):
            assert re.fullmatch(r"actions/(checkout|setup-python)@v\d+", action)
        if step.get("uses", "").startswith("actions/checkout"):
            assert step["with"]["persist-credentials"] is False


@each
def test_what_it_calls_is_there(path: Path) -> None:
    called = [step["run"] for step in steps(path) if "run" in step]
    assert called
    for command in called:
        assert "\n" not in command
        if command.startswith("fpmc-bench"):
            assert_command(command.split()[1:])
        else:
            script = re.search(r"\S*\.ci/\S+|constraints\.txt", command)
            assert script is not None
            assert (REPOSITORY / script[0]).is_file()


def test_ci_checks_the_leaderboards_and_wants_a_browser() -> None:
    text = (REPOSITORY / ".ci" / "run").read_text()
    (command,) = re.findall(r"^quietly fpmc-bench (leaderboard check .*)$", text, re.MULTILINE)
    assert_command(command.split())
    boards = {path.parent.name for path in (REPOSITORY / "leaderboards").glob("*/run.json")}
    assert {Path(word).name for word in command.split() if "/" in word} == boards
    assert "export FPMC_BENCH_BROWSER=required" in text


def assert_command(words: list[str]) -> None:
    """There is such a command, with these options."""
    command: click.Command = main
    while isinstance(command, click.Group):
        found = command.get_command(click.Context(command), words.pop(0))
        assert found is not None
        command = found
    parameters = command.params
    known = {option for one in parameters for option in (*one.opts, *one.secondary_opts)}
    assert {word for word in words if word.startswith("-")} <= known


@pytest.fixture(scope="module")
def script() -> ModuleType:
    spec = importlib.util.spec_from_file_location("verify_changed", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


HOSTILE = (
    "leaderboards/digits/records/$(touch hacked).sample-mse.json",
    "leaderboards/digits/records/--help.sample-mse.json",
    "leaderboards/digits/records/a;b.sample-mse.json",
    "leaderboards/digits/records/x\ny.sample-mse.json",
    "leaderboards/digits/records/\udcff.sample-mse.json",
    "leaderboards/-x/records/ls.sample-mse.json",
    "leaderboards/digits/records/deeper/ls.sample-mse.json",
    "leaderboards/digits/records/`id`/ls.sample-mse.json",
    "leaderboards/digits/tables/ls.sample-mse.json",
    "elsewhere/leaderboards/digits/records/ls.sample-mse.json",
)


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """A branch that changed, added and removed rows, and added files with names of all kinds."""

    def git(*arguments: str) -> None:
        settings = ("-c", "user.name=a", "-c", "user.email=a@b", "-c", "commit.gpgsign=false")
        subprocess.run(
            ["git", *settings, *arguments], cwd=tmp_path, check=True, capture_output=True
        )

    def write(name: str, text: str) -> None:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)

    git("init", "-q", "-b", "main")
    for entry in ("ls", "els", "gone", "same"):
        write(f"leaderboards/digits/records/{entry}.sample-mse.json", "before")
    git("add", "-A")
    git("commit", "-q", "-m", "before")
    git("checkout", "-q", "-b", "theirs")
    write("leaderboards/digits/records/ls.sample-mse.json", "after")
    write("leaderboards/digits/records/mine+qr.denoiser-mse.npz", "after")
    write("leaderboards/photos/records/els.sample-mse.attestation", "after")
    (tmp_path / "leaderboards/digits/records/gone.sample-mse.json").unlink()
    for name in HOSTILE:
        write(name, "x")
    git("add", "-A")
    git("commit", "-q", "-m", "theirs")
    git("checkout", "-q", "main")
    write("leaderboards/digits/records/same.sample-mse.json", "by others, meanwhile")
    git("commit", "-q", "-a", "-m", "main goes on")
    git("checkout", "-q", "theirs")
    return tmp_path


def test_changed_rows_are_found_whatever_files_are_called(
    repository: Path, script: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(repository)
    files = script.changed_files("main")
    assert set(HOSTILE[:-1]) <= set(files)
    rows = {"leaderboards/digits": ["ls", "mine+qr"], "leaderboards/photos": ["els"]}
    assert script.changed_rows(files) == rows
    listed = subprocess.run(
        [sys.executable, SCRIPT, "main", "--list"], capture_output=True, text=True, check=True
    )
    assert listed.stdout == "leaderboards/digits: ls, mine+qr\nleaderboards/photos: els\n"
    assert not (repository / "hacked").exists()
    with pytest.raises(subprocess.CalledProcessError):
        script.changed_files("--output=hacked")


def test_rows_are_verified_by_the_command_that_there_is(
    repository: Path, script: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(repository)
    monkeypatch.setattr(sys, "argv", ["verify_changed", "main"])
    called: list[list[str]] = []
    run = subprocess.run

    def noted(command: list[Any], **settings: Any) -> subprocess.CompletedProcess[Any]:
        if command[0] == "git":
            return run(command, **settings)
        called.append(command)
        return subprocess.CompletedProcess(command, 1 if len(called) == 1 else 0)

    monkeypatch.setattr(subprocess, "run", noted)
    assert script.main() == 1
    options = ["--items", "16", "--no-attest"]
    assert [command[3:] for command in called] == [
        ["verify", "leaderboards/digits", *options, "--entry", "ls", "--entry", "mine+qr"],
        ["verify", "leaderboards/photos", *options, "--entry", "els"],
    ]
    for command in called:
        assert command[:3] == [sys.executable, "-m", "fpmc_bench"]
        assert_command(command[3:])
