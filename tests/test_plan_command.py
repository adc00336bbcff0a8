"""`fpmc-bench plan`: units that a run finds, or guesses; item counts that a time budget allows."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from runs import fpmc_bench, write_plugin, write_suite, write_train_only
from test_run import FAULTY

from fpmc_bench.harness.forecast.parts import ROWS
from fpmc_bench.harness.forecast.pilot import Pilot

LS = ("-d", "ls", "-p", "denoiser-mse")


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing was ever timed."""
    monkeypatch.setenv("FPMC_BENCH_CACHE", str(tmp_path / "cache"))


def planned(folder: Path, *options: str | Path, status: int = 0, **more: Any) -> dict[str, Any]:
    """Of the small suite in `folder`, as JSON."""
    suite = folder / "small.toml"
    if not suite.exists():
        write_suite(folder)
    done = fpmc_bench("plan", suite, *options, "--json", "--quiet", cwd=folder, **more)
    assert done.returncode == status, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return {**found, "stderr": done.stderr}


def units(folder: Path) -> dict[str, int]:
    return {path.name: path.stat().st_mtime_ns for path in (folder / "ledger").glob("*.npz")}


def test_units_that_are_timed_are_the_runs_own(tmp_path: Path) -> None:
    """Two blocks of four of each row; then a run computes the others, and nothing is left."""
    run = ("--run-dir", tmp_path / "run")
    found = planned(tmp_path, *LS, *run)
    rows = {(row["name"], row["stage"]): row for row in found["rows"]}
    assert set(rows) == {("digits-ddpmpp", 1), ("digits-ncsnpp", 2), ("ls", 2)}
    for row in rows.values():
        assert (row["units"], row["lacking"], row["guessed"]) == (4, 2, False)
        assert row["unit_seconds"] > 0
        assert row["grown_bytes"] >= 0
    assert found["seconds"] > found["around_seconds"] > 0
    assert found["memory_bytes"] > 2**20
    timed = units(tmp_path / "run")
    assert len(timed) == 6
    done = fpmc_bench("run", tmp_path / "small.toml", *LS, *run, "--quiet", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    after = units(tmp_path / "run")
    assert {name: after[name] for name in timed} == timed
    assert len(after) == 12
    again = planned(tmp_path, *LS, *run)
    assert again["line"] == "nothing is left to compute"
    record = json.loads((tmp_path / "run" / "records" / "ls.denoiser-mse.json").read_text())
    error = record["figures"]["mse@1"]["standard_error"]
    (row,) = (row for row in again["rows"] if row["name"] == "ls")
    assert row["standard_error"] == pytest.approx(error)


def test_long_units_are_guessed_and_nothing_is_computed(tmp_path: Path) -> None:
    found = planned(tmp_path, *LS, "--seconds", "0.0001", "--run-dir", tmp_path / "run")
    assert [row["guessed"] for row in found["rows"]] == [True] * 3
    assert all(row["lacking"] == 4 and row["unit_seconds"] > 0 for row in found["rows"])
    assert "3 of 3 parts extrapolated" in found["line"]
    assert units(tmp_path / "run") == {}


def test_what_was_timed_once_is_known_in_other_folders_and_for_other_items(tmp_path: Path) -> None:
    planned(tmp_path, *LS, "--run-dir", tmp_path / "run")
    found = planned(tmp_path, *LS, "--items", "6", "--seed", "5", "--run-dir", tmp_path / "other")
    assert found["untimed"] == 0
    assert units(tmp_path / "other") == {}


def test_a_time_budget_chooses_whole_blocks_and_tells_their_errors(tmp_path: Path) -> None:
    found = planned(tmp_path, *LS, "--time-budget", "1h", "--run-dir", tmp_path / "run")
    assert found["items"] == 7, "the suite's own, where all are affordable"
    pilot = len(units(tmp_path / "run"))
    assert pilot == 6
    one = found["seconds"] - found["around_seconds"]
    assert one > 0
    row = {row["name"]: row for row in found["rows"]}["ls"]
    with np.load(next((tmp_path / "run" / "ledger").glob("*.npz"))) as file:
        assert len(file["prediction"] if "prediction" in file else file["mse@1"]) == 2
    assert row["standard_error"] > 0
    again = planned(tmp_path, *LS, "--time-budget", "1h")
    assert {one["name"]: one for one in again["rows"]}["ls"]["standard_error"] == pytest.approx(
        row["standard_error"]
    ), "whose time was known, and their spread was not"
    done = fpmc_bench(
        *("plan", tmp_path / "small.toml", *LS, "--time-budget", "0.001s"), cwd=tmp_path
    )
    assert done.returncode == 2
    assert "the least that fits no --time-budget of 0 s: 2 items take about" in done.stderr
    for text in ("0s", "2 hours", "h"):
        done = fpmc_bench("plan", "digits", "--time-budget", text, cwd=tmp_path)
        assert done.returncode == 2
        assert "no span of time" in done.stderr
    for option in (("plan", "--seconds", "nan"), ("run", "--unit-timeout", "inf")):
        done = fpmc_bench(*option[:1], "digits", *option[1:], cwd=tmp_path)
        assert done.returncode == 2
        assert f"Invalid value for '{option[1]}'" in done.stderr


def test_the_table_says_what_to_run(tmp_path: Path) -> None:
    suite = write_suite(tmp_path)
    done = fpmc_bench("plan", suite, *LS, "--time-budget", "1h", "--quiet", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    table, command, line = done.stdout.split("\n\n")
    heads = "row  protocol  units  each  left  memory  disk  s.e. of mse@1  cache"
    assert table.splitlines()[0].split() == heads.split()
    assert command == f"fpmc-bench run {suite} -d ls -p denoiser-mse --items 7"
    assert line.startswith("small, 7 items: about ")


def test_a_row_that_fails_costs_only_itself_and_is_told(tmp_path: Path) -> None:
    site = write_plugin(tmp_path / "site", "faulty-denoiser", FAULTY)
    options = ("-d", "faulty", *LS, "--run-dir", tmp_path / "run")
    found = planned(tmp_path, *options, status=1, paths=(site,))
    assert found["failed"] == ["faulty.denoiser-mse"]
    assert "the roof is on fire" in found["stderr"]
    assert {row["name"]: row["unit_seconds"] is None for row in found["rows"]}["ls"] is False


def test_test_images_that_are_sampled_come_first(tmp_path: Path) -> None:
    write_train_only(tmp_path)
    suite = write_suite(tmp_path)
    suite.write_text(suite.read_text().replace('name = "digits"', 'name = "train-only"'))
    data = ("--data", f"train-only={tmp_path / 'levels.npy'}", "--run-dir", tmp_path / "run")
    found = planned(tmp_path, *LS, *data, paths=(tmp_path / "site",))
    first = found["rows"][0]
    assert (first["name"], first["units"], first["lacking"]) == ("test images", 4, 0)
    found = planned(
        tmp_path,
        *LS,
        *("--seconds", "0.0001", *data[:3], tmp_path / "other"),
        *("--seed", "9"),
        paths=(tmp_path / "site",),
    )
    first = found["rows"][0]
    assert (first["lacking"], first["guessed"]) == (4, False), "known by its first timing"


def test_a_run_tells_the_plan_of_what_is_known_and_times_nothing(tmp_path: Path) -> None:
    suite, run = write_suite(tmp_path), ("--run-dir", tmp_path / "run")
    planned(tmp_path, *LS, "--seconds", "0.0001", *run)
    done = fpmc_bench("run", suite, *LS, "-d", "optimal", *run, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    (line,) = (line for line in done.stderr.splitlines() if "never timed" in line)
    assert line.startswith("fpmc-bench: at least ")
    assert "(3 of 4 parts extrapolated, 1 part never timed) in 1 process; up to " in line
    assert line.endswith("; 'fpmc-bench plan' times what was never timed")
    again = fpmc_bench("run", suite, *LS, *run, cwd=tmp_path)
    assert "process" not in again.stderr, "nothing is left"
    quiet = fpmc_bench("run", suite, *LS, "--fresh", "--quiet", *run, cwd=tmp_path)
    assert quiet.stderr == ""


def test_of_long_units_a_few_items_tell_how_they_spread(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All seven here, which is what a run has in the end."""
    suite = write_suite(tmp_path)
    suite.write_text(suite.read_text().replace("block_items = 2", "block_items = 7"))
    monkeypatch.setattr(Pilot, "_affords", lambda *_: False)
    found = planned(tmp_path, "-d", "ls", "--time-budget", "1h", "--run-dir", tmp_path / "run")
    assert units(tmp_path / "run") == {}
    run = ("run", suite, "-d", "ls", "--run-dir", tmp_path / "run", "--quiet")
    assert fpmc_bench(*run, cwd=tmp_path).returncode == 0
    for row in found["rows"]:
        if row["stage"] == ROWS:
            stem = f"{row['name']}.{row['protocol']}"
            record = json.loads((tmp_path / "run" / "records" / f"{stem}.json").read_text())
            error = record["figures"]["mse@1"]["standard_error"]
            assert row["standard_error"] == pytest.approx(error, rel=1e-4)


def test_images_that_augmentations_add_are_made_in_part_or_told(tmp_path: Path) -> None:
    """A tenth of 1437 images: one block of 256 samples, which is more than is wanted."""
    entry = """
[[entries]]
name = "more"
denoiser = "wiener"
augmentations = [{ name = "synthetic", rate = RATE }]
"""
    options = ("-d", "more", "-p", "denoiser-mse", "--seconds", "0.05")
    write_suite(tmp_path, entry.replace("RATE", "0.1"))
    row = planned(tmp_path, *options)["rows"][-1]
    assert row["cache"] == "spectrum (made now), synthetic"
    write_suite(tmp_path, entry.replace("RATE", "1.0"))
    row = planned(tmp_path, *options)["rows"][-1]
    assert row["cache"] == "spectrum (made now), images to be made"
    assert row["guessed"]
    assert row["beginning_seconds"] > 0
