"""Rows under the definitions of others: each against its formula, and how ranks change."""

import json
from pathlib import Path

import numpy as np
import pytest
from kept_predictions import write_kept
from runs import fpmc_bench
from synthetic_records import write_synthetic

from fpmc_bench.documents.record import read_record
from fpmc_bench.errors import RunError
from fpmc_bench.results.published import DEFINITIONS, KeptRow, published_table
from fpmc_bench.results.render.published import published_json, render_published

RANDOM = np.random.default_rng(0)
REFERENCE = RANDOM.uniform(-1.2, 1.2, (5, 3, 2, 2, 2))


def off_by(size: float) -> np.ndarray:
    return REFERENCE + size * RANDOM.standard_normal(REFERENCE.shape)


def figure(row: KeptRow, name: str) -> float:
    (found,) = published_table({"mine": row}).rows
    return found.figures[[one.name for one in DEFINITIONS].index(name)]


@pytest.mark.parametrize("protocol", ["denoiser-mse", "sample-mse"])
def test_every_definition_is_its_formula(tmp_path: Path, protocol: str) -> None:
    """Item by item, as the repositories have it; by noise level, an item is the mean of its own."""
    reference = REFERENCE if protocol == "denoiser-mse" else REFERENCE[:, 0]
    prediction = reference + 0.3 * RANDOM.standard_normal(reference.shape)
    row = write_kept(tmp_path, "mine", prediction, reference, protocol)
    images = 5, -1, 8
    t = reference.astype(np.float32).astype(np.float64).reshape(images)
    d = prediction.astype(np.float32).astype(np.float64).reshape(images)
    t01, d01 = ((np.clip(one, -1, 1) + 1) / 2 for one in (t, d))
    mse, mse01 = ((d - t) ** 2).mean(-1), ((d01 - t01) ** 2).mean(-1)
    pearson = np.array(
        [
            [np.corrcoef(a, b)[0, 1] for a, b in zip(*pair, strict=True)]
            for pair in zip(d, t, strict=True)
        ]
    )
    expected = {
        "MSE": mse.mean(),
        "r2": (1 - mse / t.var(-1, ddof=1)).mean(),
        "MSE 0-1": mse01.mean(),
        "r2 0-1": (1 - mse01 / t01.var(-1, ddof=1)).mean(),
        "Pearson": np.median(pearson.mean(1)),
    }
    assert {name: figure(row, name) for name in expected} == pytest.approx(expected, rel=1e-12)
    assert figure(row, "MSE") == pytest.approx(row.record.figures["mse@1"].mean, rel=1e-6)


def test_what_is_beyond_the_range_is_clamped_and_the_scale_is_a_quarter(tmp_path: Path) -> None:
    reference = np.full((4, 1, 2, 2), 1.0)
    reference[:, 0, 0, 0] = -1
    row = write_kept(tmp_path, "wild", 3 * reference, reference, "sample-mse")
    assert figure(row, "MSE") == 4
    assert figure(row, "MSE 0-1") == 0
    inside = write_kept(tmp_path, "inside", reference / 2, reference, "sample-mse")
    assert figure(inside, "MSE 0-1") == figure(inside, "MSE") / 4


def test_flat_images_have_no_correlation_and_a_variance_of_one(tmp_path: Path) -> None:
    reference = REFERENCE.copy()
    reference[2] = 0.5
    row = write_kept(tmp_path, "mine", reference + 0.1, reference)
    table = published_table(
        {"mine": row, "other": write_kept(tmp_path, "other", off_by(1), reference)}
    )
    assert np.isnan(table.rows[0].figures[-1]), "it is in the middle of nothing"
    assert [row.ranks[-1] for row in table.rows] == [1, 1], "neither is a number"
    assert '"value": null' in published_json(table)
    flat = 1 - 0.01
    each = [
        flat if item == 2 else 1 - 0.01 / REFERENCE[item, level].var(ddof=1)
        for item in range(5)
        for level in range(3)
    ]
    assert figure(row, "r2") == pytest.approx(np.mean(each), rel=1e-5)


def test_ranks_change_and_the_table_says_how(tmp_path: Path) -> None:
    """A constant offset costs much and moves no correlation."""
    rows = {
        "teacher_b": write_kept(
            tmp_path, "teacher_b", off_by(0.01), REFERENCE, role="other network"
        ),
        "offset": write_kept(tmp_path, "offset", REFERENCE + 0.4, REFERENCE),
        "noisy": write_kept(tmp_path, "noisy", off_by(0.3), REFERENCE),
        "far": write_kept(tmp_path, "far", off_by(0.9), REFERENCE),
    }
    table = published_table(rows)
    assert [(row.label, row.rank) for row in table.rows] == [
        ("teacher_b", None),
        ("noisy", 1),
        ("offset", 2),
        ("far", 3),
    ]
    assert [row.ranks[-1] for row in table.rows] == [None, 2, 1, 3]
    shown = render_published(table)
    noisy, offset, far = shown.splitlines()[5:8]
    assert noisy.endswith("2 ↓1")
    assert offset.endswith("1 ↑1")
    assert far.endswith("3")
    assert "2 of 3 by Pearson" in " ".join(shown.split())
    assert "(shangxinyi/GoldDiff)" in shown
    (content,) = json.loads(published_json(table))
    assert content["rows"][1]["figures"]["Pearson"]["rank"] == 2


def test_equal_figures_have_one_rank(tmp_path: Path) -> None:
    twins = {name: write_kept(tmp_path, name, REFERENCE + 0.1, REFERENCE) for name in ("a", "b")}
    worse = {"c": write_kept(tmp_path, "c", REFERENCE + 0.2, REFERENCE)}
    assert [row.rank for row in published_table({**twins, **worse}).rows] == [1, 1, 3]


def test_what_lacks_predictions_says_how_to_keep_them(tmp_path: Path) -> None:
    path = write_synthetic(
        tmp_path / "records", "ls", {"mse@1": np.ones((8, 4)), "r2@1": np.zeros((8, 4))}
    )
    with pytest.raises(RunError, match=r"-d included, with --keep-predictions"):
        published_table({"ls": KeptRow(*read_record(path), tmp_path)})


def test_the_command_takes_folders_and_rows_of_them(tmp_path: Path) -> None:
    for name, size in (("a", 0.1), ("b", 0.2)):
        write_kept(tmp_path / name, "mine", off_by(size), REFERENCE)
        write_kept(tmp_path / name, name, off_by(3 * size), REFERENCE)

    def entries(*arguments: str) -> list[str]:
        result = fpmc_bench("compare", *arguments, "--as-published", "--json", cwd=tmp_path)
        assert result.returncode == 0, result.stderr
        return [row["entry"] for row in json.loads(result.stdout)[0]["rows"]]

    assert entries("a") == ["mine", "a"]
    assert entries("a", "b/records") == ["mine@a", "mine@b/records", "a", "b"]
    assert entries("a", "--in", "a", "-p", "denoiser-mse") == ["a"]
    assert entries("b@b", "a/records/mine.denoiser-mse.json") == ["mine", "b"]
    table = fpmc_bench("compare", "a", "--as-published", "--csv", cwd=tmp_path).stdout
    assert table.splitlines()[0].startswith("suite,protocol,entry,rank,MSE,MSE rank,r2,r2 rank")
    refused = fpmc_bench("compare", "a", "--as-published", "--by-sigma", cwd=tmp_path)
    assert (refused.returncode, refused.stdout) == (2, "")
    nothing = fpmc_bench("compare", "a", "--as-published", "-p", "sample-mse", cwd=tmp_path)
    assert (nothing.returncode, nothing.stdout) == (1, "")


def test_rows_of_two_kinds_are_refused(tmp_path: Path) -> None:
    one = write_kept(tmp_path, "one", off_by(0.1), REFERENCE)
    other = write_kept(tmp_path, "two", off_by(0.1)[:, 0], REFERENCE[:, 0], "sample-mse")
    with pytest.raises(RunError, match="can't stand on one leaderboard"):
        published_table({"one": one, "two": other})
    with pytest.raises(RunError, match="no rows"):
        published_table({})
