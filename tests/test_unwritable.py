"""Folders that nothing can be written into: refused in one line, by every command, before work."""

from pathlib import Path

import numpy as np
import pytest
from damage import full_disk
from PIL import Image
from runs import fpmc_bench, write_suite

INSIDE = "file/inside"
"""Below a file: nobody can make it, not even root."""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "file").write_text("in the way")
    (tmp_path / "pictures").mkdir()
    Image.fromarray(np.zeros((8, 8), np.uint8)).save(tmp_path / "pictures/a.png")
    (tmp_path / "in.pkl").write_bytes(b"")
    write_suite(tmp_path)
    return tmp_path


def refused(*arguments: str, cwd: Path) -> str:
    """The one line on stderr; nothing was written."""
    before = sorted(cwd.rglob("*"))
    done = fpmc_bench(*arguments, cwd=cwd)
    assert done.returncode == 2, done.stderr
    assert done.stdout == ""
    (line,) = done.stderr.strip().splitlines()
    assert sorted(cwd.rglob("*")) == before
    return line


ASKED = {
    "--run-dir": ("run", "small.toml", "--run-dir", INSIDE),
    "--out": (
        "finetune",
        "small.toml",
        "--quiet",
        "--base",
        "ls",
        "--out",
        f"{INSIDE}/a.safetensors",
    ),
    "by --out": ("study", "threshold", "--out", INSIDE),
    "another folder by --out": (
        *("teacher", "train", "digits", "--architecture", "ncsnpp"),
        *("--out", f"{INSIDE}/a.safetensors"),
    ),
    "OUT": ("data", "prepare", "pictures", f"{INSIDE}/a.zip", "--side-px", "4"),
    "by OUT": ("teacher", "convert", "in.pkl", f"{INSIDE}/a.safetensors"),
    "--to": ("data", "fetch", "cifar10", "--to", INSIDE, "--url", "http://127.0.0.1:9/x"),
    "--sheet": (
        *("data", "info", "image-folder", "--data", "image-folder=pictures"),
        *("--sheet", f"{INSIDE}/a.png"),
    ),
}


@pytest.mark.parametrize("chosen_by", ASKED)
def test_a_folder_is_refused_with_the_option_that_chooses_another(
    chosen_by: str, folder: Path
) -> None:
    line = refused(*ASKED[chosen_by], cwd=folder)
    assert line.startswith("fpmc-bench: can't write into file/inside")
    assert line.endswith(chosen_by)


CACHED = {
    "run": ("run", "small.toml", "-d", "optimal", "--run-dir", "run"),
    "finetune": ("finetune", "small.toml", "--quiet", "--base", "ls"),
    "study": ("study", "threshold"),
    "tune": ("tune", "small.toml", "-d", "ls"),
    "bench": ("bench", "small.toml"),
    "info": ("data", "info", "image-folder", "--data", "image-folder=pictures"),
    "train": (
        *("teacher", "train", "image-folder", "--architecture", "ncsnpp"),
        *("--out", "a.safetensors", "--data", "image-folder=pictures"),
    ),
}


@pytest.mark.parametrize("command", CACHED)
def test_a_cache_is_refused_with_its_variable(
    command: str, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FPMC_BENCH_CACHE", str(folder / INSIDE))
    line = refused(*CACHED[command], cwd=folder)
    assert line.startswith(f"fpmc-bench: can't write into {folder / INSIDE}")
    assert line.endswith("choose another folder by FPMC_BENCH_CACHE")


def test_a_disk_that_is_full_already_is_refused_before_work(folder: Path) -> None:
    with full_disk(100):
        line = refused("run", "small.toml", "--quiet", "--run-dir", "run", cwd=folder)
    assert line.startswith("fpmc-bench: can't write into run: ")
    assert "make room" in line


def test_a_disk_that_fills_up_ends_a_run_in_one_line_and_it_goes_on(folder: Path) -> None:
    command = ("run", "small.toml", "-d", "optimal", "--run-dir", "run", "--quiet", "--items", "2")
    with full_disk(4096):  # enough for all but the units
        done = fpmc_bench(*command, cwd=folder)
    assert done.returncode == 1
    (line,) = done.stderr.strip().splitlines()
    assert line.startswith("fpmc-bench: run/ledger/")
    assert "can't be written" in line
    assert not [path for path in (folder / "run").rglob("*") if "partial" in path.name]
    assert fpmc_bench(*command, cwd=folder).returncode == 0
