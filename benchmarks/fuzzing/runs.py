"""What runs leave: records, samples, units and the manifest of a directory."""

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
from synthetic_records import ENVIRONMENT, attest, write_synthetic

from fpmc_bench.documents.attestation import read_attestations
from fpmc_bench.documents.environment import UnitNote
from fpmc_bench.documents.record import read_record, read_records
from fpmc_bench.documents.status import STATUS
from fpmc_bench.documents.suite import Suite, validated_suite
from fpmc_bench.harness.ledger import Ledger
from fpmc_bench.harness.rundir import RunDirectory
from fpmc_bench.harness.tally import Tally
from fpmc_bench.jobs.status import folder_status
from fpmc_bench.results.predictions import predictions_path, read_predictions, reference_path
from fpmc_bench.results.render.csv import render_csv
from fpmc_bench.results.render.json import render_json
from fpmc_bench.results.render.latex import render_latex
from fpmc_bench.results.render.markdown import render_markdown
from fpmc_bench.results.render.sample_grid import ORDER, read_samples, write_sample_grid
from fpmc_bench.results.render.terminal import render_terminal
from fpmc_bench.results.table import build_tables
from fpmc_bench.results.trajectories import (
    Trajectories,
    read_trajectories,
    write_trajectories,
)
from fpmc_bench.storage.arrays import Arrays, write_arrays
from fpmc_bench.storage.mapped import seal
from fuzzing.trials import Loader


def write_records(folder: Path) -> list[Path]:
    levels, scales = np.array([1 / 64, 1 / 2, 1 / 8, 1 / 1024]), np.array([[1.0], [3.0], [2.0]])
    for entry, size in (("optimal", 8), ("ls", 2)):
        errors = size * scales * levels
        attest(write_synthetic(folder, entry, {"mse@1": errors, "r2@1": 1 - errors}))
    return sorted(folder.iterdir())


def read_leaderboard(path: Path) -> Any:
    tables = build_tables(read_records(path.parent), attestations=read_attestations(path.parent))
    each = (render_terminal, render_markdown, render_latex)
    together = (render_csv, render_json)
    return [
        *(one(table) for one in each for table in tables),
        *(all_(*tables) for all_ in together),
    ]


def write_samples(folder: Path) -> list[Path]:
    rows = {"teacher": np.zeros((3, 1, 4, 4), np.float32), "ls": np.ones((3, 1, 4, 4), np.float32)}
    order = {ORDER: np.array(json.dumps(list(rows)))}
    write_arrays(folder / "sample-mse.npz", {**rows, **order}, compressed=True)
    return [folder / "sample-mse.npz"]


def draw_samples(path: Path) -> Path:
    write_sample_grid(path.with_name("grid.png"), read_samples(path))
    return path


def write_some_trajectories(folder: Path) -> list[Path]:
    rows = {name: np.zeros((2, 3, 2, 1, 4, 4), np.uint8) for name in ("teacher", "ls")}
    write_trajectories(folder / "trajectories.npz", Trajectories((80.0, 0.002), rows))
    return [folder / "trajectories.npz"]


def write_some_predictions(folder: Path) -> list[Path]:
    ones = np.ones((3, 4))
    (folder / "records").mkdir()
    values = {"mse@1": ones, "r2@1": 0 * ones, "r2-pooled@1": ones}
    record, _ = read_record(write_synthetic(folder / "records", "ls", values))
    paths = (predictions_path(folder, record.stem), reference_path(folder, record.protocol))
    for path, value in zip(paths, (0, 1), strict=True):
        path.parent.mkdir(exist_ok=True)
        np.save(path, np.full((3, 4, 1, 2, 2), value, np.float32))
        seal(path, path.name, record.items_sha256)
    return list(paths)


def read_some_predictions(path: Path) -> Any:
    run_dir = next(one for one in path.parents if (one / "records").is_dir())
    return read_predictions(run_dir, *read_record(run_dir / "records" / "ls.denoiser-mse.json"))


NOTE = UnitNote(
    environment=ENVIRONMENT, seconds=1.0, date_utc="2026-01-01T00:00:00Z", command="", commit=None
)

UNIT: Arrays = {"mse@1": np.ones((3, 2)), "prediction": np.zeros((3, 2, 1, 4, 4), np.float32)}


def write_unit(folder: Path) -> list[Path]:
    Ledger(folder).write("key", UNIT, NOTE)
    return [folder / "key.npz"]


def read_unit(path: Path) -> Any:
    """Never another's figures: the unit is not there, or it is what was written."""
    found = Ledger(path.parent).read(path.stem)
    assert found is None or found.arrays.keys() == UNIT.keys()
    assert found is None or all(np.array_equal(found.arrays[name], UNIT[name]) for name in UNIT)
    return found


def a_suite() -> Suite:
    content = {
        "name": "small",
        "items": 4,
        "dataset": {"name": "digits"},
        "teachers": {"tuning": "a", "evaluation": "b"},
        "entries": [{"name": "ls", "denoiser": "ls", "params": {"patch_sizes": [3, 1]}}],
    }
    return validated_suite(content, "a suite")


def write_run(folder: Path) -> list[Path]:
    open_run(folder / "run.json")
    return [folder / "run.json"]


def open_run(path: Path) -> Path:
    identity = {"networks": ["a", "b"], "device": "cpu"}
    RunDirectory(path.parent).open(a_suite(), identity, fresh=False)
    return path


def write_status(folder: Path) -> list[Path]:
    tally = Tally("run", "small", "fpmc-bench run small.toml", 2)
    tally.expect({"ls.denoiser-mse": 3, "b.sample-mse": 2}, {"ls.denoiser-mse": 2}, {})
    tally.began_stage("rows", "unit", 5, [("ls.denoiser-mse", 1.5)] * 2)
    tally.began(1, "here", "ls.denoiser-mse", [0, 50], 1e9)
    tally.failed("b.sample-mse", "RuntimeError: no")
    open_run(folder / "run.json")
    (folder / STATUS).write_text(tally.status().model_dump_json())
    return [folder / STATUS]


def show_status(path: Path) -> list[str]:
    (found,) = folder_status(path.parent)
    return found.lines(datetime(2026, 11, 28, tzinfo=UTC))


LOADERS = (
    Loader("records", write_records, read_leaderboard),
    Loader("samples", write_samples, draw_samples),
    Loader("trajectories", write_some_trajectories, read_trajectories),
    Loader("predictions", write_some_predictions, read_some_predictions),
    Loader("ledger", write_unit, read_unit),
    Loader("run.json", write_run, open_run),
    Loader("status", write_status, show_status),
)
