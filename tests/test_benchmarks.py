"""The scripts of `benchmarks/`; plain torch is a peer to `compare.py`."""

import json
import subprocess
import sys
import textwrap
import zipfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from in_process import call_script
from PIL import Image
from runs import environment, write_suite

BENCHMARKS = Path(__file__).parent.parent / "benchmarks"
SCRIPTS = sorted(p.stem for p in BENCHMARKS.glob("*.py") if "__main__" in p.read_text("utf-8"))
METHODS = {"optimal", "ls", "els", "pspc-square", "pspc-flex", "lukoianov"}


def run(name: str, arguments: Sequence[str]) -> subprocess.CompletedProcess[str]:
    """`python benchmarks/NAME ARGUMENTS` in this process."""
    return subprocess.CompletedProcess(arguments, *call_script(BENCHMARKS / name, arguments))


def compare(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    quick = ("--threads", "1", "--repetitions", "2", "--queries", "2")
    return run("compare.py", [*quick, *map(str, arguments)])


def test_a_script_starts_by_itself() -> None:
    """From anywhere, and without a warning: as a user starts it."""
    done = subprocess.run(
        [sys.executable, "-W", "error", str(BENCHMARKS / "compare.py"), "--peer", "pspc=nowhere"],
        env=environment(),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    assert "nowhere has no pspc/denoisers.py" in done.stderr


def zip_of_images(path: Path, count: int, side_px: int) -> Path:
    """Smooth RGB images in the layout of EDM's tool."""
    generator = np.random.default_rng(0)
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("dataset.json", '{"labels": null}')
        for index in range(count):
            colours = generator.integers(0, 256, (3, 3, 3), dtype=np.uint8)
            with archive.open(f"00000/img{index:08d}.png", "w") as file:
                Image.fromarray(colours).resize((side_px, side_px)).save(file, "png")
    return path


def test_every_method_agrees_with_plain_dense_torch(tmp_path: Path) -> None:
    found = tmp_path / "found.json"
    done = compare(
        *("--dense", "--images", "20", "--els-images", "10", "--side", "12", "--json", found)
    )
    assert done.returncode == 0, done.stderr
    rows = json.loads(found.read_text())["rows"]
    assert {row["method"] for row in rows} == METHODS
    assert {row["peer"] for row in rows} == {"dense"}
    for row in rows:
        assert 0 <= row["largest_difference"] < 1e-4
        assert 0 < row["lowest_ratio"] <= row["highest_ratio"]
        assert row["images"] == (10 if row["method"] == "els" else 20)
    table = [line for line in done.stdout.splitlines() if line.startswith("| ")]
    assert len(table) == 1 + len(rows)
    assert all(line.rstrip(" |").endswith("yes") for line in table[1:])


def test_images_of_a_zip(tmp_path: Path) -> None:
    archive = zip_of_images(tmp_path / "images.zip", count=9, side_px=8)
    done = compare("--dense", "--only", "ls,pspc-square", "--data", archive, "--images", "7")
    assert done.returncode == 0, done.stderr
    assert "| ls " in done.stdout
    assert "| pspc-square " in done.stdout
    assert "| optimal " not in done.stdout
    done = compare("--dense", "--data", archive, "--images", "8")
    assert done.returncode == 2
    assert "10 images are needed" in done.stderr
    assert "has 9" in done.stderr


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--peer", "pcpc=."], "NAME one of pspc, convolutional_diffusion, locality"),
        (["--peer", "pspc"], "expected NAME=PATH"),
        (["--peer", "pspc=nowhere"], "nowhere has no pspc/denoisers.py"),
        (["--dense", "--data", "nowhere.zip"], "'nowhere.zip' does not exist"),
        (["--dense", "--data", __file__], "is not a zip file; expected"),
        (["--dense", "--images", "3000"], "3000 training images are needed"),
        (["--dense", "--side", "65"], "photos have sides of 1 to 64 pixels, got 65"),
        (["--dense", "--only", "ls,lss"], "--only names lss; expected some of optimal, ls"),
        ([], "pass --dense or --peer"),
    ],
)
def test_bad_input_is_refused_before_any_work(arguments: list[str], message: str) -> None:
    done = compare(*arguments)
    assert done.returncode == 2
    assert message in " ".join(done.stderr.split())
    assert "Traceback" not in done.stderr
    assert not done.stdout


def checkout_of_pspc(folder: Path, offset: str) -> Path:
    """A stand-in for the peer: the posterior mean over whole images, off by `offset`."""
    (folder / "pspc").mkdir(parents=True)
    (folder / "pspc" / "denoisers.py").write_text(
        textwrap.dedent(f"""
            import numpy as np
            import torch

            class EmpiricalDenoiser:
                def __init__(self, images):
                    levels = torch.from_numpy(np.stack([image for image, _ in images]))
                    self.images = levels.double() / 127.5 - 1

                def __call__(self, z, sigma):
                    squares = (z.double()[:, None] - self.images).square().sum((2, 3, 4))
                    weights = (-squares / (2 * sigma[:, None] ** 2)).softmax(1)
                    mean = torch.einsum("bn,nchw->bchw", weights, self.images)
                    return mean.to(z.dtype) + {offset}
        """)
    )
    return folder


@pytest.mark.parametrize(("offset", "status"), [("0", 0), ("0.1", 1), ("torch.nan", 1)])
def test_status_says_whether_a_peer_agrees(tmp_path: Path, offset: str, status: int) -> None:
    peer = checkout_of_pspc(tmp_path / "peer", offset)
    done = compare(
        *("--only", "optimal", "--images", "20", "--side", "12", "--peer", f"pspc={peer}")
    )
    assert done.returncode == status, done.stderr
    assert ("NO" in done.stdout) == bool(status)
    assert "Traceback" not in done.stderr


def script(name: str, *arguments: str) -> str:
    """What a script of the benchmarks prints."""
    done = run(name, arguments)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_a_step_of_fine_tuning_is_measured() -> None:
    options = ("--side", "8", "--batch", "2", "--threads", "1")
    table = script("finetune_step.py", *options, "--images", "50", "--images", "100")
    rows = [line.split() for line in table.splitlines()[2:]]
    assert [row[:2] for row in rows] == [["50", "2"], ["100", "2"]]
    assert all(float(cell) > 0 for row in rows for cell in row[2:5])


def test_the_sweep_of_fine_tuning_moves_one_setting_at_a_time() -> None:
    options = ("--base", "ls", "--sigma", "1.09", "--steps", "4", "--batch", "8")
    table = script("finetune_sweep.py", "digits", *options, "--validation-items", "4")
    rows = [line.split("|")[1:3] for line in table.splitlines()[2:]]
    assert rows[0][0].strip() == "defaults"
    assert len({name for name, _ in rows}) == len(rows) > 8
    assert all(float(change) <= 0 for _, change in rows)


def test_the_sweep_takes_settings() -> None:
    options = ("--base", "ls", "--sigma", "1.09", "--steps", "2", "--validation-items", "4")
    chosen = ("--setting", "kernels=shared,learning_rate=0.1", "--setting", "batch=8")
    table = script("finetune_sweep.py", "digits", *options, *chosen)
    names = [line.split("|")[1].strip() for line in table.splitlines()[2:]]
    assert names == ["kernels shared, learning_rate 0.1", "batch 8"]


def test_precisions_of_low_rank_are_learned() -> None:
    options = ("--base", "ls", "--sigma", "1.09", "--steps", "20", "--batch", "16")
    ranks = ("--rank", "0", "--rank", "2")
    table = script("low_rank.py", "digits", *options, *ranks, "--validation-items", "16")
    rows = [line.split("|")[1:3] for line in table.splitlines()[2:]]
    assert [int(rank) for rank, _ in rows] == [0, 2]
    changes = [float(change) for _, change in rows]
    assert max(changes) < 0
    assert changes[0] != changes[1]


@pytest.mark.parametrize("name", SCRIPTS)
def test_every_script_says_what_it_does(name: str) -> None:
    text = script(f"{name}.py", "--help")
    assert text.startswith(f"Usage: {name}.py [OPTIONS]")
    assert text.partition("Options:")[0].count("\n\n") > 1, "a line on what it prints"


def test_teachers_are_measured_beside_all_entries(tmp_path: Path) -> None:
    suite = str(write_suite(tmp_path))
    tables = script("teacher_quality.py", suite, "--items", "4").split("\n\n")
    header, _, *rows = tables[1].splitlines()
    assert header.split() == ["sigma", "tuning", "evaluation", "optimal", "ls", "pspc-flex"]
    assert [row.split()[0] for row in rows] == ["80", "9.72", "0.47", "0.002"]
    last = [float(cell) for cell in rows[-1].split()[1::3]]
    assert max(last[:2]) < 1e-3 < last[2], (
        "networks keep a clean image; optimal knows no test image"
    )
    assert len(tables[3].splitlines()) == 2 + len(rows)
    done = run("teacher_quality.py", [suite, "--items", "501"])
    assert (done.returncode, "digits has less than 501 test images" in done.stderr) == (2, True)
