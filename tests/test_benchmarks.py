"""The scripts of `benchmarks/`: `compare.py` as a user runs it, with plain torch for a peer."""

import importlib
import json
import subprocess
import sys
import textwrap
import zipfile
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from click import ClickException
from click.testing import CliRunner
from PIL import Image
from runs import environment, write_suite

BENCHMARKS = Path(__file__).parent.parent / "benchmarks"
SCRIPTS = sorted(p.stem for p in BENCHMARKS.glob("*.py") if "__main__" in p.read_text("utf-8"))
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
    done = subprocess.run(
        [sys.executable, "-W", "error", str(BENCHMARKS / name), *arguments],
        env=environment(),
        capture_output=True,
        text=True,
        timeout=280,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_a_step_of_fine_tuning_is_measured() -> None:
    options = ("--side", "8", "--batch", "2", "--threads", "1")
    table = script("finetune_step.py", *options, "--images", "50", "--images", "100")
    rows = [line.split() for line in table.splitlines()[2:]]
    assert [row[:2] for row in rows] == [["50", "2"], ["100", "2"]]
    assert all(float(cell) > 0 for row in rows for cell in row[2:5])


def test_the_sweep_of_fine_tuning_moves_one_setting_at_a_time() -> None:
    options = ("--base", "ls", "--sigma", "1.09", "--steps", "20", "--batch", "8")
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


@pytest.fixture
def imported(
    request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> Iterator[ModuleType]:
    """A script of the benchmarks as a module, with those beside it importable until the end."""
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    before = set(sys.modules)
    yield importlib.import_module(request.param)
    for name in set(sys.modules) - before:
        if str(getattr(sys.modules[name], "__file__", None)).startswith(str(BENCHMARKS)):
            del sys.modules[name]


@pytest.mark.parametrize("imported", SCRIPTS, indirect=True)
def test_every_script_says_what_it_does(imported: ModuleType) -> None:
    done = CliRunner().invoke(imported.main, ["--help"])
    assert done.exit_code == 0, done.output
    assert "Usage: main [OPTIONS]" in done.output
    assert imported.main.help, "a line on what it prints"


@pytest.mark.parametrize("imported", ["mutations"], indirect=True)
def test_every_mutation_is_one_line_of_the_present_code(imported: ModuleType) -> None:
    """Found exactly once, still Python with the fault in it, and named tests that there are."""
    table = imported.mutations()
    assert len(table) >= 25
    for one in table:
        compile(one.applied(imported.ROOT), one.file, "exec")
        assert one.new != one.old
        for test in one.tests:
            file, _, name = test.partition("::")
            content = (imported.ROOT / "tests" / file).read_text(encoding="utf-8")
            assert f"def {name or 'test_'}" in content, test
    done = CliRunner().invoke(imported.main, ["--list", "--only", "divisor n"])
    assert (done.exit_code, done.output.count("statistics.py")) == (0, 2), done.output
    assert CliRunner().invoke(imported.main, ["--only", "no such fault"]).exit_code == 2


@pytest.mark.parametrize("imported", ["mutations"], indirect=True)
def test_a_line_that_has_changed_is_refused(imported: ModuleType, tmp_path: Path) -> None:
    mutation = imported.Mutation("module.py", "x = 1", "x = 2", "another x", ("test_x.py",))
    for content, times in (("x = 10\n", 0), ("x = 1\nif x:\n    x = 1\n", 2)):
        (tmp_path / "module.py").write_text(content)
        with pytest.raises(ClickException, match=rf"'x = 1' {times} times; expected once"):
            mutation.applied(tmp_path)
    (tmp_path / "module.py").write_text("if True:\n    x = 1\n")
    assert mutation.applied(tmp_path) == "if True:\n    x = 2\n"


@pytest.mark.parametrize("imported", ["teacher_quality"], indirect=True)
def test_teachers_are_measured_beside_all_entries(imported: ModuleType, tmp_path: Path) -> None:
    suite = str(write_suite(tmp_path))
    done = CliRunner().invoke(imported.main, [suite, "--items", "4"], catch_exceptions=False)
    tables = done.output.split("\n\n")
    header, _, *rows = tables[1].splitlines()
    assert header.split() == ["sigma", "tuning", "evaluation", "optimal", "ls", "pspc-flex"]
    assert [row.split()[0] for row in rows] == ["80", "9.72", "0.47", "0.002"]
    last = [float(cell) for cell in rows[-1].split()[1::3]]
    assert max(last[:2]) < 1e-3 < last[2], (
        "networks keep a clean image; optimal knows no test image"
    )
    assert len(tables[3].splitlines()) == 2 + len(rows)
    done = CliRunner().invoke(imported.main, [suite, "--items", "501"])
    assert (done.exit_code, "digits has less than 501 test images" in done.output) == (2, True)
