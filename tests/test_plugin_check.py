"""`fpmc-bench plugin check` and `pytest --fpmc-check`: what they print, and how they end."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from runs import fpmc_bench
from test_single_files import MINE


@pytest.fixture
def mine(tmp_path: Path) -> Path:
    path = tmp_path / "mine.py"
    path.write_text(MINE, encoding="utf-8")
    return path


def test_a_built_in_passes(tmp_path: Path) -> None:
    done = fpmc_bench("plugin", "check", "optimal", "hflip", cwd=tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.startswith("optimal (denoiser, from fpmc-bench ")
    assert "\nhflip (augmentation, from fpmc-bench " in done.stdout
    assert "  23 checks: 23 ok\n" in done.stdout


def test_a_schedule_may_have_one_value_for_every_noise_level(tmp_path: Path) -> None:
    done = fpmc_bench("plugin", "check", "ls[patch_sizes=3]", cwd=tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr


def test_a_file_that_breaks_promises_is_shown_how(mine: Path) -> None:
    done = fpmc_bench("plugin", "check", "./mine.py[width=2]", cwd=mine.parent)
    assert done.returncode == 1
    lines = done.stdout.splitlines()
    assert lines[0].startswith("laplace (denoiser, from mine.py ")
    found = [line.split()[1] for line in lines if line.startswith("  FAILED ")]
    assert found == ["weights", "noise-level"]
    assert "noise-level FAILED: at sigma 0.1 its answers are those for a sigma of " in done.stdout
    assert "    Laplace = plugin_class('./mine.py')\n" in done.stdout
    assert "params={'width': 2})" in done.stdout


def test_as_json(mine: Path) -> None:
    done = fpmc_bench("plugin", "check", "./mine.py", "--json", cwd=mine.parent)
    assert done.returncode == 1
    (found,) = json.loads(done.stdout)
    assert (found["name"], found["kind"]) == ("laplace", "denoiser")
    statuses = {one["check"]: one["status"] for one in found["checks"]}
    assert statuses["weights"] == "FAILED"
    assert statuses["batch"] == "ok"
    assert all(one["snippet"] for one in found["checks"] if one["status"] == "FAILED")


@pytest.mark.parametrize(
    ("what", "says"),
    [
        ("weiner", "Did you mean 'wiener'"),
        ("./nowhere.py", "there is no plugin file at nowhere.py"),
        ("./mine.py:Laplas", "Did you mean 'Laplace'"),
        ("image-zip", "--data image-zip=PATH"),
        ("ls", "'ls' needs a value of patch_sizes: give 'ls[patch_sizes=...]'"),
    ],
)
def test_what_cannot_be_checked_is_one_line(mine: Path, what: str, says: str) -> None:
    done = fpmc_bench("plugin", "check", what, cwd=mine.parent)
    assert done.returncode == 2
    assert says in done.stderr
    assert "Traceback" not in done.stderr


def test_pytest_makes_a_test_of_every_check(mine: Path) -> None:
    mine.with_name("test_own.py").write_text(
        "import sys\n\nWITHOUT_TORCH = 'torch' not in sys.modules\n\n"
        "def test_own():\n    assert WITHOUT_TORCH\n"
    )
    mine.write_text(
        MINE.replace(
            "width: float", 'expected_failures = {"weights": "a reason"}\n    width: float'
        )
    )
    command = "-m pytest -v -p fpmc_bench.testing.pytest_plugin -p no:cacheprovider"
    checks = ("--fpmc-check", "./mine.py", "--fpmc-check", "./mine.py[width=9]")
    done = subprocess.run(
        [sys.executable, *command.split(), *checks],
        cwd=mine.parent,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1, done.stdout + done.stderr
    assert "test_own.py::test_own PASSED" in done.stdout
    assert "2 failed, 41 passed, 2 xfailed" in done.stdout
    assert "noise-level FAILED: at sigma 0.1 its answers are those for a sigma of" in done.stdout
    assert "def runtest" not in done.stdout  # no traceback through the kit
