"""Predictions kept beside the records: all of them, of these records; no figure moves for it."""

import shutil
from collections import namedtuple
from pathlib import Path

import numpy as np
import pytest
import torch
from damage import turned
from plans import ALONE, small_plan
from runs import figures

from fpmc_bench.documents.items import ItemValues
from fpmc_bench.documents.record import Record, read_record, write_record
from fpmc_bench.errors import RunError
from fpmc_bench.harness.forecast.parts import UNIT_BYTES
from fpmc_bench.harness.plan import Plan
from fpmc_bench.harness.rundir import RunDirectory
from fpmc_bench.jobs.run import RunOutcome, run_plan
from fpmc_bench.protocols import prediction_of
from fpmc_bench.protocols.metrics import mse_1
from fpmc_bench.results.predictions import (
    predictions_path,
    read_predictions,
    read_reference,
    reference_path,
)
from fpmc_bench.results.summaries import figure_of
from fpmc_bench.storage.mapped import seal

ENTRIES = [{"name": name, "denoiser": name} for name in ("optimal", "wiener")]


def run_again(folder: Path, *, keep: bool = True, plan: Plan | None = None) -> RunOutcome:
    plan = plan or small_plan(entries=ENTRIES)
    return run_plan(plan, RunDirectory(folder), ALONE, progress=False, keep_predictions=keep)


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("runs") / "run"
    assert run_again(folder).failures == {}
    return folder


@pytest.fixture
def folder(kept: Path, tmp_path: Path) -> Path:
    """A run with predictions, to be changed."""
    return Path(shutil.copytree(kept, tmp_path / "run"))


def known(folder: Path, stem: str = "wiener.denoiser-mse") -> tuple[Record, ItemValues]:
    return read_record(folder / "records" / f"{stem}.json")


def test_every_prediction_of_every_row_is_there(kept: Path) -> None:
    """As the protocol predicts, and as the record's errors are."""
    plan = small_plan(entries=ENTRIES)
    for path in sorted((kept / "records").glob("*.json")):
        record, values = read_record(path)
        found, reference = read_predictions(kept, record, values), read_reference(kept, record)
        shape = (7, 4, 1, 8, 8) if record.facts.by_sigma else (7, 1, 8, 8)
        assert (found.shape, found.dtype) == (shape, np.float32)
        errors = mse_1(*(torch.from_numpy(np.array(one)) for one in (found, reference)))
        assert np.array_equal(errors.numpy(), values["mse@1"])
    test = plan.context.dataset.test
    assert test is not None
    with torch.no_grad():
        for protocol, role in (("denoiser-mse", "tuning"), ("sample-mse", "evaluation")):
            network = plan.context.teacher(role)
            expected = prediction_of(protocol)(network, plan.problem(protocol, test), range(3))
            record, _ = known(kept, f"wiener.{protocol}")
            assert np.array_equal(read_reference(kept, record)[:3], expected.numpy())


def test_no_figure_moves_for_it_and_none_are_kept_unasked(kept: Path, tmp_path: Path) -> None:
    assert run_again(tmp_path / "run", keep=False).failures == {}
    assert figures(tmp_path / "run") == figures(kept)
    assert not (tmp_path / "run" / "predictions").exists()


@pytest.mark.parametrize("lost", ["predictions", "ledger", "both"])
def test_what_lacks_is_made_later_and_the_records_stay(folder: Path, lost: str) -> None:
    before = {path: path.read_bytes() for path in sorted((folder / "records").iterdir())}
    predictions = {path: path.read_bytes() for path in sorted(folder.glob("predictions/*.npy"))}
    units = {path: path.stat().st_mtime_ns for path in folder.glob("ledger/*.npz")}
    for name in ("predictions", "ledger"):
        if lost in (name, "both"):
            shutil.rmtree(folder / name)
    assert run_again(folder).failures == {}
    assert {path: path.read_bytes() for path in before} == before
    assert {path: path.read_bytes() for path in predictions} == predictions
    if lost == "predictions":
        assert {path: path.stat().st_mtime_ns for path in units} == units, "joined, not computed"
    if lost == "ledger":
        assert not (folder / "ledger").exists(), "nothing was lacking"


def test_units_without_predictions_are_computed_anew(tmp_path: Path) -> None:
    assert run_again(tmp_path, keep=False).failures == {}
    before = figures(tmp_path)
    assert run_again(tmp_path).failures == {}
    assert figures(tmp_path) == before
    record, values = known(tmp_path)
    assert read_predictions(tmp_path, record, values).shape == (7, 4, 1, 8, 8)


def test_a_damaged_file_is_made_anew(folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = predictions_path(folder, "wiener.denoiser-mse")
    whole = path.read_bytes()
    turned(path)
    record, values = known(folder)
    with pytest.raises(RunError, match=r"has no predictions of wiener\.denoiser-mse: give"):
        read_predictions(folder, record, values)
    assert "is damaged" in caplog.text
    assert run_again(folder).failures == {}
    assert path.read_bytes() == whole


def test_predictions_of_another_record_are_refused(folder: Path) -> None:
    record, values = known(folder)
    other = record.model_copy(update={"items_sha256": "0" * 64})
    with pytest.raises(RunError, match=r"and -d included, with --keep-predictions"):
        read_predictions(folder, other, values)
    path = predictions_path(folder, record.stem)
    array = np.array(read_predictions(folder, record, values))
    array[5, 2] += 0.1
    np.save(path, array)
    seal(path, path.name, record.items_sha256)
    with pytest.raises(RunError, match="have another error at item 5 against those of the ref"):
        read_predictions(folder, record, values)
    np.save(path, array[:, :, 0])
    seal(path, path.name, record.items_sha256)
    with pytest.raises(
        RunError, match=r"have shape \[7, 4, 8, 8\], expected that of the reference"
    ):
        read_predictions(folder, record, values)


@pytest.mark.parametrize(
    ("reference", "said"),
    [
        (None, "no predictions of the reference digits-ddpmpp"),
        (np.zeros((7, 4, 1, 8, 8)), "which are no predictions"),
        (np.zeros((7, 4, 8, 8), np.float32), "which are no predictions"),
        (np.zeros((6, 4, 1, 8, 8), np.float32), "but wiener.denoiser-mse has"),
    ],
)
def test_a_reference_that_is_none_is_refused(
    folder: Path, reference: np.ndarray | None, said: str
) -> None:
    record, values = known(folder)
    path = reference_path(folder, "denoiser-mse")
    path.unlink()
    if reference is not None:
        np.save(path, reference)
        seal(path, path.name, "")
    with pytest.raises(RunError, match=said):
        read_predictions(folder, record, values)


def test_a_record_that_is_not_what_is_computed_gets_none(folder: Path) -> None:
    """Altered so that its figures, items and digest fit each other."""
    record, values = known(folder)
    better = ItemValues({**values.arrays, "mse@1": values["mse@1"] * 0.9})
    levels = [
        one.model_copy(
            update={"figures": {name: figure_of(better, name, level) for name in better}}
        )
        for level, one in enumerate(record.per_sigma)
    ]
    forged = {
        "items_sha256": better.digest,
        "figures": {name: figure_of(better, name) for name in better},
        "per_sigma": tuple(levels),
    }
    write_record(folder / "records", record.model_copy(update=forged), better)
    outcome = run_again(folder)
    (report,) = outcome.failures.values()
    assert report.startswith("the predictions of wiener.denoiser-mse as they are computed now have")


Usage = namedtuple("Usage", "total used free")


def test_a_disk_without_room_is_refused_before_any_work(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """7 items of 64 float32 values, at 4 levels and once, of 3 rows and the reference, twice."""
    monkeypatch.setenv("FPMC_BENCH_CACHE", str(tmp_path / "cache"))
    predictions = 7 * 64 * 4 * (4 + 1) * 4 * 2
    errors = 7 * 3 * 8 * (4 + 1) * 3 * 2
    units = (2 * 4) * 3 * UNIT_BYTES
    free = predictions + errors + units + 2**28
    monkeypatch.setattr(shutil, "disk_usage", lambda _: Usage(0, 0, free - 1))
    with pytest.raises(RunError, match=r"24 units will take 1 MiB .* or leave out --keep-predic"):
        run_again(tmp_path / "run")
    assert list(tmp_path.glob("run/ledger/*.npz")) == []
    monkeypatch.setattr(shutil, "disk_usage", lambda _: Usage(0, 0, free))
    plan = small_plan(entries=ENTRIES)
    assert run_again(tmp_path / "run", plan=plan).failures == {}
