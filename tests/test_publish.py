"""From units to records: joined in order, figures of all items, machines and costs as they were."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from plans import ALONE, small_workload
from runs import fpmc_bench, write_suite
from synthetic_records import ENVIRONMENT

from fpmc_bench.documents.environment import UnitNote
from fpmc_bench.documents.failure import FAILURES, read_failures
from fpmc_bench.documents.protocols import PROTOCOLS
from fpmc_bench.documents.record import Record, read_record
from fpmc_bench.engine import Arithmetic
from fpmc_bench.harness.publish import publish
from fpmc_bench.harness.rundir import RunDirectory
from fpmc_bench.harness.standing import remaining_units
from fpmc_bench.harness.units import Workload, WorkUnit
from fpmc_bench.harness.workers import Workbench
from fpmc_bench.results.render.sample_grid import read_samples

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


def metrics(errors: np.ndarray) -> dict[str, np.ndarray]:
    return {"mse@1": errors, "r2-pooled@1": 2 + errors, "r2@1": 1 - errors}


def fill(directory: RunDirectory, units: list[WorkUnit], notes: list[UnitNote]) -> None:
    """Errors of item k are those of row k, whatever the block."""
    by_sigma = units[0].provenance.protocol == "denoiser-mse"
    errors = item_errors((ITEMS, SIGMAS) if by_sigma else (ITEMS,))
    for unit, its_note in zip(units, notes, strict=True):
        part = slice(unit.items.start, unit.items.stop)
        arrays = metrics(errors[part])
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
    (record,) = publish(workload, directory)
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


def test_r2_is_pooled_over_all_items_and_levels(workload: Workload, tmp_path: Path) -> None:
    record = published(workload, tmp_path, NOTES, "denoiser-mse")
    errors = item_errors((ITEMS, SIGMAS))
    expected = 1 - errors.sum() / (2 + errors).sum()
    assert record.figures["r2-pooled@1"].mean == pytest.approx(expected, rel=1e-12)
    for level, one in enumerate(record.per_sigma):
        expected = 1 - errors[:, level].sum() / (2 + errors[:, level]).sum()
        assert one.figures["r2-pooled@1"].mean == pytest.approx(expected, rel=1e-12)


def test_items_are_of_the_groups_that_the_dataset_says_and_samples_of_none(
    workload: Workload, tmp_path: Path
) -> None:
    groups = torch.arange(500) // 3
    plan = workload.plan
    test = replace(plan.context.dataset.test, groups=groups)
    dataset = replace(plan.context.dataset, test=test)
    grouped = replace(workload, plan=replace(plan, context=replace(plan.context, dataset=dataset)))
    assert grouped.test_fingerprint == workload.test_fingerprint
    for protocol, expected in (("denoiser-mse", [0, 0, 0, 1, 1, 1, 2]), ("sample-mse", None)):
        directory = RunDirectory(tmp_path / protocol)
        fill(directory, workload.rows(protocol)[3:], NOTES)
        (before,) = publish(workload, directory)
        (record,) = publish(grouped, directory)
        _, values = read_record(directory.records / f"{record.stem}.json")
        assert values.groups is None if expected is None else values.groups.tolist() == expected
        assert (before.groups, record.groups) == (None, None if expected is None else 3)
        assert record.figures["mse@1"].mean == before.figures["mse@1"].mean
        wider = record.figures["mse@1"].standard_error > before.figures["mse@1"].standard_error
        assert wider == (expected is not None)


def test_figures_of_chosen_levels_stand_at_their_own_noise(tmp_path: Path) -> None:
    workload, directory = small_workload(levels=[1, 3]), RunDirectory(tmp_path)
    errors = item_errors((ITEMS, 2))
    for unit, its_note in zip(workload.rows("denoiser-mse")[3:], NOTES, strict=True):
        part = errors[unit.items.start : unit.items.stop]
        directory.ledger.write(unit.key, metrics(part), its_note)
    (record,) = publish(workload, directory)
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
    assert record.publication.formula.startswith("D = sum_n w_n x_n")


def test_a_row_has_the_remarks_of_all_its_units(workload: Workload, tmp_path: Path) -> None:
    first, second, third = NOTES
    marked = [
        first.model_copy(update={"remarks": ("answers depend on chance",)}),
        second,
        third.model_copy(update={"remarks": ("answers depend on chance", "another")}),
    ]
    record = published(workload, tmp_path / "marked", marked, "denoiser-mse")
    assert record.remarks == ("answers depend on chance", "another")
    assert published(workload, tmp_path / "plain", NOTES, "denoiser-mse").remarks == ()


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
    assert publish(workload, directory) == []
    report = directory.ledger.failures()["optimal.denoiser-mse"]
    assert "1 of 3 units are not in the ledger" in report
    assert "(items 6 to 6)" in report
    assert set(directory.ledger.failures()) == {
        f"{unit.row}" for protocol in PROTOCOLS for unit in workload.rows(protocol)
    }, "no row is left out without a word"


def test_a_run_that_lacks_units_names_its_rows_and_exits_with_1(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Workbench, "measure", lambda *_: None)
    options = ("-d", "optimal", "--items", "2", "-p", "denoiser-mse", "--quiet")
    done = fpmc_bench("run", write_suite(tmp_path), *options, cwd=tmp_path)
    assert done.returncode == 1
    for name in ("optimal", "digits-ncsnpp"):
        assert f"{name}.denoiser-mse failed:\n1 of 1 units are not in the ledger" in done.stderr


def test_a_row_that_has_failed_keeps_its_reason(workload: Workload, tmp_path: Path) -> None:
    directory = RunDirectory(tmp_path)
    directory.ledger.fail("optimal.denoiser-mse", "Traceback: no")
    publish(workload, directory)
    assert directory.ledger.failures()["optimal.denoiser-mse"] == "Traceback: no"


def test_the_first_samples_of_every_row_are_kept(workload: Workload, tmp_path: Path) -> None:
    directory = RunDirectory(tmp_path)
    fill(directory, workload.references("sample-mse"), NOTES)
    fill(directory, workload.rows("sample-mse")[3:], NOTES)
    publish(workload, directory)
    with np.load(directory.samples("sample-mse")) as file:
        assert json.loads(str(file[".order"])) == ["digits-ncsnpp", "optimal"]
        assert file["optimal"].shape == (3, 1, 8, 8)


def test_samples_of_rows_called_like_anything_are_kept(tmp_path: Path) -> None:
    names = ("order", "file")
    workload = small_workload(entries=[{"name": name, "denoiser": "optimal"} for name in names])
    directory = RunDirectory(tmp_path)
    fill(directory, workload.rows("sample-mse")[3:], NOTES * 2)
    publish(workload, directory)
    assert list(read_samples(directory.samples("sample-mse"))) == [*names]


def content(folder: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


def test_a_record_that_stands_is_not_touched_whatever_became_of_the_ledger(
    workload: Workload, tmp_path: Path
) -> None:
    """Nor is it computed again: a published folder has no ledger."""
    record = published(workload, tmp_path, NOTES, "denoiser-mse")
    directory = RunDirectory(tmp_path)
    shutil.rmtree(directory.ledger.directory)
    before = content(directory.records)
    fill(directory, workload.rows("denoiser-mse")[3:], [note(99.0, 59)] * 3)
    assert publish(workload, directory) == [record]
    assert content(directory.records) == before
    asked = {
        unit.row for units in remaining_units(workload, directory, ALONE).values() for unit in units
    }
    assert f"optimal.{record.protocol}" not in asked
    assert f"digits-ncsnpp.{record.protocol}" in asked


def test_only_a_row_with_products_is_another_where_products_cost_otherwise(
    workload: Workload, tmp_path: Path
) -> None:
    """As on another machine: a network's row would be measured anew, and replaced, for nothing."""
    directory = RunDirectory(tmp_path)
    units = workload.rows("denoiser-mse")
    fill(directory, units[:3], NOTES)
    fill(directory, units[3:], NOTES)
    publish(workload, directory)
    other = Workload(workload.plan, Arithmetic(addition=9.0, split_multiply_add=9.0))
    remaining = remaining_units(other, directory, ALONE)["denoiser-mse"]
    assert {unit.contestant.name for unit in remaining} == {"optimal"}


@pytest.mark.parametrize("why", ["raises", "lacks a unit"])
def test_a_row_that_fails_is_not_shown_with_an_older_run_s_figures(
    workload: Workload, tmp_path: Path, why: str
) -> None:
    published(workload, tmp_path, NOTES, "sample-mse")
    directory = RunDirectory(tmp_path)
    old = content(directory.records)
    edited = small_workload(entries=[{"name": "optimal", "denoiser": "wiener"}])
    if why == "raises":
        directory.ledger.fail("optimal.sample-mse", 'Traceback:\n  File "x"\n    y\nOSError: no')
    assert publish(edited, directory) == []
    assert content(directory.records) == {}
    kept = content(tmp_path / "earlier")
    assert sorted(kept.values()) == sorted(old.values()), "nothing is lost"
    failure = {one.stem: one.reason for one in read_failures(tmp_path)}["optimal.sample-mse"]
    assert failure.startswith(
        "OSError: no" if why == "raises" else "3 of 3 units are not in the ledger ledger (items"
    )
    with np.load(directory.samples("sample-mse")) as file:
        assert "optimal" not in file.files


def test_a_replaced_record_is_kept_aside(workload: Workload, tmp_path: Path) -> None:
    published(workload, tmp_path, NOTES, "denoiser-mse")
    directory = RunDirectory(tmp_path)
    old = content(directory.records)
    edited = small_workload(entries=[{"name": "optimal", "denoiser": "wiener"}])
    fill(directory, edited.rows("denoiser-mse")[3:], NOTES)
    (record,) = publish(edited, directory)
    assert record.provenance.denoiser == "wiener"
    assert sorted(content(tmp_path / "earlier").values()) == sorted(old.values())


def test_rows_of_another_run_keep_their_samples_and_their_failures(
    workload: Workload, tmp_path: Path
) -> None:
    directory = RunDirectory(tmp_path)
    fill(directory, workload.references("sample-mse"), NOTES)
    fill(directory, workload.rows("sample-mse")[3:], NOTES)
    directory.ledger.fail("optimal.denoiser-mse", "no")
    publish(workload, directory)
    directory.ledger.forget_failures()
    other = small_workload(entries=[{"name": "wiener", "denoiser": "wiener"}])
    fill(directory, other.rows("sample-mse")[3:], NOTES)
    fill(directory, other.rows("denoiser-mse")[3:], NOTES)
    publish(other, directory)
    names = ["digits-ncsnpp", "optimal", "wiener"]
    assert list(read_samples(directory.samples("sample-mse"))) == names
    assert {one.stem for one in read_failures(tmp_path)} >= {"optimal.denoiser-mse"}
    before = directory.samples("sample-mse").stat().st_mtime_ns
    fill(directory, workload.rows("denoiser-mse")[3:], NOTES)
    publish(workload, directory)
    assert "optimal.denoiser-mse" not in {one.stem for one in read_failures(tmp_path)}
    assert directory.samples("sample-mse").stat().st_mtime_ns == before


def test_failures_that_are_damaged_are_said_and_written_anew(
    workload: Workload, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    directory = RunDirectory(tmp_path)
    directory.ledger.fail("optimal.sample-mse", "no")
    (tmp_path / FAILURES).write_text("{")
    publish(workload, directory)
    assert f"{tmp_path / FAILURES} is damaged" in caplog.text
    assert {one.stem for one in read_failures(tmp_path)} >= {"optimal.sample-mse"}


def test_what_was_noticed_of_the_reference_stands_in_every_row(
    workload: Workload, tmp_path: Path
) -> None:
    directory = RunDirectory(tmp_path)
    doubtful = note(1.0, 0).model_copy(update={"remarks": ("answers depend on chance",)})
    fill(directory, workload.references("denoiser-mse"), [doubtful, *NOTES[1:]])
    fill(directory, workload.rows("denoiser-mse")[3:], NOTES)
    (record, *_) = [one for one in publish(workload, directory) if one.entry == "optimal"]
    assert record.remarks == ("the reference digits-ddpmpp: answers depend on chance",)


def test_a_record_of_other_figures_and_damaged_samples_are_said_and_made_anew(
    workload: Workload, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Tables refuse such a record, and the run that was given again left it as it was."""
    record = published(workload, tmp_path, NOTES, "sample-mse")
    directory = RunDirectory(tmp_path)
    path, samples = directory.records / f"{record.stem}.json", directory.samples("sample-mse")
    whole = path.read_bytes(), samples.read_bytes()
    mean = str(record.figures["mse@1"].mean)
    path.write_text(path.read_text().replace(mean, mean.replace("1", "3", 1), 1))
    samples.write_bytes(samples.read_bytes()[:99])
    caplog.clear()
    assert publish(workload, directory) == [record]
    assert (path.read_bytes(), samples.read_bytes()) == whole
    altered, aside, damaged, _ = caplog.messages
    assert f"{path} is made anew: " in altered
    assert "the per-item values give" in altered
    assert f"{path} is not of this run, or damaged: it lies in" in aside
    assert f"{samples} can't be read" in damaged
    assert "made anew of what the ledger has" in damaged
