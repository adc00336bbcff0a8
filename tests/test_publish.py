"""From units to records: joined in order, figures of all items, machines and costs as they were."""

import json
from pathlib import Path

import numpy as np
import pytest
from plans import small_workload
from synthetic_records import ENVIRONMENT

from fpmc_bench.documents.environment import UnitNote
from fpmc_bench.documents.record import Record, read_record
from fpmc_bench.harness.publish import publish
from fpmc_bench.harness.rundir import RunDirectory
from fpmc_bench.harness.units import Workload, WorkUnit

OTHER = ENVIRONMENT.model_copy(update={"device": "a GPU", "threads": 8})
ITEMS, SIGMAS = 7, 4


def note(
    seconds: float, minute: int, environment: object = ENVIRONMENT, commit: str = "c0"
) -> UnitNote:
    return UnitNote.model_validate(
        {
            "environment": environment,
            "seconds": seconds,
            "date_utc": f"2026-01-01T00:{minute:02}:00Z",
            "command": f"command {minute}",
            "commit": commit,
        }
    )


def item_errors(shape: tuple[int, ...]) -> np.ndarray:
    return np.arange(np.prod(shape), dtype=np.float64).reshape(shape) ** 2 / 64


def fill(directory: RunDirectory, units: list[WorkUnit], notes: list[UnitNote]) -> None:
    """Errors of item k are those of row k, whatever the block."""
    by_sigma = units[0].provenance.protocol == "denoiser-mse"
    errors = item_errors((ITEMS, SIGMAS) if by_sigma else (ITEMS,))
    for unit, its_note in zip(units, notes, strict=True):
        part = slice(unit.items.start, unit.items.stop)
        arrays = {"mse@1": errors[part], "r2@1": 1 - errors[part]}
        if not by_sigma:
            arrays["prediction"] = np.full((len(unit.items), 1, 8, 8), unit.items.start, np.float32)
        directory.ledger.write(unit.key, arrays, its_note)


@pytest.fixture
def workload() -> Workload:
    return small_workload()


def published(workload: Workload, folder: Path, notes: list[UnitNote], protocol: str) -> Record:
    """Of the one row whose units are there."""
    directory = RunDirectory(folder)
    fill(directory, workload.rows(protocol)[3:], notes)
    (record,) = publish(workload, directory).records
    again, values = read_record(directory.records / f"{record.stem}.json")
    assert again == record
    assert np.array_equal(values["mse@1"], item_errors(values["mse@1"].shape))
    return record


NOTES = [note(6.0, 5), note(3.0, 9, OTHER, "c1"), note(10.0, 2, OTHER, "c1")]


def test_a_row_s_figures_are_those_of_all_its_items(workload: Workload, tmp_path: Path) -> None:
    record = published(workload, tmp_path, NOTES, "denoiser-mse")
    errors = item_errors((ITEMS, SIGMAS))
    means = errors.mean(axis=1)
    figure = record.figures["mse@1"]
    assert figure.mean == pytest.approx(means.mean(), rel=1e-14)
    assert figure.standard_error == pytest.approx(means.std(ddof=1) / ITEMS**0.5, rel=1e-14)
    assert figure.n == ITEMS
    assert [one.sigma for one in record.per_sigma] == list(record.provenance.sigmas)
    assert record.per_sigma[2].figures["mse@1"].mean == pytest.approx(errors[:, 2].mean())
    assert (record.items, record.provenance.items) == (ITEMS, (0, ITEMS))
    assert record.reference == "digits-ddpmpp"


def test_figures_of_chosen_levels_stand_at_their_own_noise(tmp_path: Path) -> None:
    workload, directory = small_workload(levels=[1, 3]), RunDirectory(tmp_path)
    errors = item_errors((ITEMS, 2))
    for unit, its_note in zip(workload.rows("denoiser-mse")[3:], NOTES, strict=True):
        part = errors[unit.items.start : unit.items.stop]
        directory.ledger.write(unit.key, {"mse@1": part, "r2@1": 1 - part}, its_note)
    (record,) = publish(workload, directory).records
    grid = record.provenance.sigmas
    assert [one.sigma for one in record.per_sigma] == [grid[1], grid[3]] == list(record.sigmas)
    found = [one.figures["mse@1"].mean for one in record.per_sigma]
    assert found == pytest.approx(errors.mean(axis=0).tolist())


def test_a_sample_is_one_item_at_no_noise_level_of_its_own(
    workload: Workload, tmp_path: Path
) -> None:
    record = published(workload, tmp_path, NOTES, "sample-mse")
    assert record.per_sigma == ()
    assert record.sigmas == record.provenance.sigmas
    assert record.reference == "digits-ncsnpp"


@pytest.mark.parametrize(("protocol", "evaluations"), [("denoiser-mse", 4), ("sample-mse", 7)])
def test_seconds_per_query_counts_every_call_of_the_denoiser(
    workload: Workload, tmp_path: Path, protocol: str, evaluations: int
) -> None:
    """Blocks of 3, 3 and 1 items, asked at 4 noise levels, or 2 * 4 - 1 times by Heun's steps."""
    record = published(workload, tmp_path, NOTES, protocol)
    rates = [6.0 / (3 * evaluations), 3.0 / (3 * evaluations), 10.0 / (1 * evaluations)]
    assert record.seconds_per_query == pytest.approx(np.median(rates), rel=1e-14)
    first, second = record.computed
    assert first.seconds_per_query == pytest.approx(rates[0], rel=1e-14)
    assert second.seconds_per_query == pytest.approx(np.median(rates[1:]), rel=1e-14)
    assert (first.queries, second.queries) == (3 * evaluations, 4 * evaluations)


def test_every_machine_stands_for_what_it_computed(workload: Workload, tmp_path: Path) -> None:
    record = published(workload, tmp_path, NOTES, "denoiser-mse")
    assert [(one.environment, one.units) for one in record.computed] == [
        (ENVIRONMENT, 1),
        (OTHER, 2),
    ]
    assert record.publication.date_utc == "2026-01-01T00:09:00Z"
    assert record.publication.command == "command 9"
    assert record.publication.commits == ("c0", "c1")
    assert "Karras" in record.publication.citation


def test_publishing_again_gives_the_same_bytes(workload: Workload, tmp_path: Path) -> None:
    record = published(workload, tmp_path, NOTES, "sample-mse")
    folder = RunDirectory(tmp_path).records
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    publish(workload, RunDirectory(tmp_path))
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before
    assert f"{record.stem}.json" in before


def test_a_row_that_lacks_a_unit_has_no_record(workload: Workload, tmp_path: Path) -> None:
    directory = RunDirectory(tmp_path)
    fill(directory, workload.rows("denoiser-mse")[3:5], NOTES[:2])
    published = publish(workload, directory)
    assert published.records == ()
    assert "1 of 3 blocks are not in the ledger" in published.failures["optimal.denoiser-mse"]


def test_the_first_samples_of_every_row_are_kept(workload: Workload, tmp_path: Path) -> None:
    directory = RunDirectory(tmp_path)
    fill(directory, workload.references("sample-mse"), NOTES)
    fill(directory, workload.rows("sample-mse")[3:], NOTES)
    publish(workload, directory)
    with np.load(directory.samples("sample-mse")) as file:
        assert json.loads(str(file["order"])) == ["digits-ncsnpp", "optimal"]
        assert file["optimal"].shape == (3, 1, 8, 8)
