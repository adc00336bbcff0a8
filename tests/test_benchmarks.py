"""`benchmarks/compare.py` as a user runs it, with plain dense torch for a peer."""

import json
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from runs import environment

BENCHMARKS = Path(__file__).parent.parent / "benchmarks"
METHODS = {"optimal", "ls", "els", "pspc-square", "pspc-flex", "lukoianov"}


def compare(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [
            *(sys.executable, "-W", "error", str(BENCHMARKS / "compare.py")),
            *("--threads", "1", "--repetitions", "2", "--queries", "2"),
            *map(str, arguments),
        ],
        env=environment(),
        capture_output=True,
        text=True,
        timeout=280,
        check=False,
    )


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
