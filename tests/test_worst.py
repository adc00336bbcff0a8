"""The worst items of a row: which, at which noise level, and what they look like."""

import io
import json
from pathlib import Path

import numpy as np
import pytest
from kept_predictions import write_kept
from PIL import Image
from runs import fpmc_bench
from synthetic_records import write_synthetic

from fpmc_bench import worst_items, write_worst_items
from fpmc_bench.errors import RunError, UsageError
from fpmc_bench.results.render.sample_grid import CELL_PX, GAP_PX
from fpmc_bench.storage.arrays import write_arrays

ERRORS = np.array([[1.0, 0, 0, 3], [0, 0, 0, 0], [9, 5, 1, 1], [2, 6, 2, 2], [1, 1, 1, 1]])


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    values = {"mse@1": ERRORS, "r2@1": 1 - ERRORS}
    write_synthetic(tmp_path / "records", "ls", values)
    sample = {"mse@1": ERRORS.max(axis=1), "r2@1": 1 - ERRORS.max(axis=1)}
    write_synthetic(tmp_path / "records", "ls", sample, protocol="sample-mse")
    return tmp_path


def test_items_are_those_of_the_largest_mean_with_the_noise_where_it_is_worst(folder: Path) -> None:
    found = worst_items(folder, "ls", count=3)
    assert (found.protocol, found.items) == ("denoiser-mse", 5)
    assert [(one.item, one.value, one.sigma, one.at_sigma) for one in found.worst] == [
        (2, 4.0, 80.0, 9.0),
        (3, 3.0, 8.0, 6.0),
        (0, 1.0, 0.002, 3.0),
    ]
    assert repr(found) == "WorstItems(ls.denoiser-mse, 2: 4, 3: 3, 0: 1)"
    best = worst_items(folder, "ls", count=2, best=True)
    assert [one.item for one in best.worst] == [1, 0], "of equal ones the first"
    samples = worst_items(folder, "ls", protocol="sample-mse", count=9)
    assert [one.item for one in samples.worst] == [2, 3, 0, 4, 1]
    assert {one.sigma for one in samples.worst} == {None}
    assert worst_items(folder / "records", "ls", count=3) == found


def test_what_is_not_there_is_named(folder: Path) -> None:
    known = "it has ls.denoiser-mse, ls.sample-mse"
    with pytest.raises(UsageError, match=f"has no record of 'mine'; {known}"):
        worst_items(folder, "mine")
    (folder / "records" / "ls.sample-mse.json").unlink()
    with pytest.raises(UsageError, match="has no record of 'ls' under sample-mse; it has ls"):
        worst_items(folder, "ls", protocol="sample-mse")
    with pytest.raises(UsageError, match="expected at least 1"):
        worst_items(folder, "ls", count=0)


def test_an_altered_record_is_refused(folder: Path) -> None:
    path = folder / "records" / "ls.denoiser-mse.json"
    record = json.loads(path.read_text())
    record["figures"]["mse@1"]["mean"] /= 2
    path.write_text(json.dumps(record))
    with pytest.raises(RunError, match="the record was altered"):
        worst_items(folder, "ls")


def cells(picture: Path, lines: int, columns: int) -> np.ndarray:
    """The grey in the middle of each image, [lines, columns]."""
    with Image.open(io.BytesIO(picture.read_bytes())) as image:
        pixels = np.asarray(image.convert("L"))
    step = CELL_PX + GAP_PX
    rows = pixels.shape[0] - step * np.arange(lines, 0, -1) + CELL_PX // 2
    across = pixels.shape[1] - step * np.arange(columns, 0, -1) + CELL_PX // 2
    return pixels[np.ix_(rows, across)].astype(int)


@pytest.mark.parametrize("protocol", ["denoiser-mse", "sample-mse"])
def test_the_picture_shows_reference_prediction_and_difference(
    tmp_path: Path, protocol: str
) -> None:
    """At the noise level where the error is largest; a difference of nothing is grey."""
    shape = (5, 4, 1, 8, 8) if protocol == "denoiser-mse" else (5, 1, 8, 8)
    reference = np.full(shape, -0.5)
    reference += 0.1 * np.eye(8)  # flat images have no r2
    prediction = reference.copy()
    prediction[3], prediction[1] = reference[3] + 0.2, reference[1] + 0.1
    if protocol == "denoiser-mse":
        prediction[3, 2] += 0.8
    write_kept(tmp_path, "mine", prediction, reference, protocol)
    found = worst_items(tmp_path, "mine", count=3)
    assert [one.item for one in found.worst] == [3, 1, 0]
    picture = write_worst_items(tmp_path, found, tmp_path / "new" / "worst.png")
    error = 1.0 if protocol == "denoiser-mse" else 0.2
    values = np.array([[-0.5] * 3, [error - 0.5, -0.4, -0.5], [error, 0.1, 0]])
    shown = cells(picture, 3, 3)
    # the middle may lie on the diagonal, which is a tenth brighter
    expected = (values + 1) * 127.5
    assert ((shown >= expected - 1) & (shown <= expected + 14)).all()


def test_the_first_samples_do_where_nothing_else_was_kept(folder: Path) -> None:
    images = np.linspace(-1, 1, 3 * 64, dtype=np.float32).reshape(3, 1, 8, 8)
    rows = {"teacher_b": images, "ls": images[::-1]}
    write_arrays(
        folder / "samples" / "sample-mse.npz",
        {".order": np.array(json.dumps(list(rows))), **rows},
    )
    best = worst_items(folder, "ls", protocol="sample-mse", count=1, best=True)
    assert write_worst_items(folder, best, folder / "best.png").is_file()
    three = worst_items(folder, "ls", protocol="sample-mse", count=3)
    with pytest.raises(RunError, match=r"no predictions of items 3 of ls\.sample-mse: give"):
        write_worst_items(folder, three, folder / "worst.png")
    with pytest.raises(RunError, match=r"items 2, 3, 0 of ls\.denoiser-mse"):
        write_worst_items(folder, worst_items(folder, "ls", count=3), folder / "worst.png")


def test_the_command_lists_them_and_writes_the_picture(tmp_path: Path) -> None:
    reference = np.random.default_rng(0).uniform(-1, 1, (5, 4, 1, 8, 8))
    prediction = reference + 0.1 * np.arange(5).reshape(5, 1, 1, 1, 1)
    write_kept(tmp_path, "mine", prediction, reference)
    command = ("leaderboard", "items", tmp_path, "--entry", "mine", "--worst", 2)
    result = fpmc_bench(*command, "--out", tmp_path / "worst.png", cwd=tmp_path)
    assert result.returncode == 0
    assert result.stdout.splitlines()[0] == (
        "mine, denoiser-mse against teacher-a: the 2 worst of 5 items"
    )
    assert [line.split()[:2] for line in result.stdout.splitlines()[4:]] == [
        ["4", "0.160"],
        ["3", "0.0900"],
    ]
    assert result.stderr == f"wrote {tmp_path / 'worst.png'}\n"
    best = json.loads(fpmc_bench(*command, "--best", "--json", cwd=tmp_path).stdout)
    assert [one["item"] for one in best["worst"]] == [0, 1]
    refused = fpmc_bench("leaderboard", "items", tmp_path, "-e", "other", cwd=tmp_path)
    assert (refused.returncode, refused.stdout) == (2, "")
    assert "it has mine.denoiser-mse" in refused.stderr
