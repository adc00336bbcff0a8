"""Workers: every unit once, whoever takes it; what fails, fails alone; nothing is done twice."""

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from damage import emptied, full_disk, swapped, truncated, turned
from plans import (
    ARITHMETIC,
    loaded,
    measure,
    measure_all,
    refer,
    small_bench,
    small_plan,
    small_workload,
)

from fpmc_bench.contracts import AugmentationTask, Source
from fpmc_bench.diffusion.heun import heun_sample
from fpmc_bench.diffusion.noise import unit_noise
from fpmc_bench.engine import EngineSettings, using
from fpmc_bench.engine.machine.arithmetic import PATHS
from fpmc_bench.errors import DiskError, RunError
from fpmc_bench.harness.ledger import Ledger
from fpmc_bench.harness.stages import sampling
from fpmc_bench.harness.units import Workload
from fpmc_bench.protocols import prediction_of
from fpmc_bench.protocols.metrics import METRICS, mse_1
from fpmc_plugins.augmentations.flips import HorizontalFlip, VerticalFlip

PROTOCOL = "denoiser-mse"


def run_all(ledger: Ledger, workload: Workload, world: int = 1) -> None:
    measure_all(ledger.directory, workload, PROTOCOL, world)


def test_any_number_of_processes_computes_the_same(tmp_path: Path) -> None:
    entries = [{"name": name, "denoiser": name} for name in ("optimal", "wiener")]
    workload = small_workload(entries=entries)
    ledgers = [Ledger(tmp_path / str(world)) for world in (1, 3)]
    for ledger, world in zip(ledgers, (1, 3), strict=True):
        run_all(ledger, workload, world)
    for unit in workload.rows(PROTOCOL):
        one, three = (ledger.required(unit.key, unit.row).arrays for ledger in ledgers)
        assert one.keys() == three.keys() == METRICS.keys()
        assert one["mse@1"].shape == (len(unit.items), 4)
        assert all(np.array_equal(one[name], three[name]) for name in one)


def test_figures_are_the_same_twice_whichever_products_are_taken(tmp_path: Path) -> None:
    """By one process and by two, uninterrupted or not; by other products nearly the same."""
    entry = {"name": "flex", "denoiser": "pspc-flex", "params": {"thresholds": [1, 0.8, 0.5, 0.5]}}
    plan, errors = small_plan(entries=[entry]), {}
    for path in PATHS:
        chosen = replace(ARITHMETIC, forced=path)
        workload = Workload(plan, chosen)
        references, rows = workload.references(PROTOCOL), workload.rows(PROTOCOL)[3:]
        begun = tmp_path / path
        refer(small_bench(Ledger(begun), workload), references)
        found = []
        # the units of each attempt, and by how many processes
        for attempts in ([(rows, 1)], [(rows, 2)], [(rows[:1], 1), (rows, 1)]):
            ledger = Ledger(tmp_path / f"{path}-{len(found)}")
            shutil.copytree(begun, ledger.directory)
            with using(EngineSettings(arithmetic=chosen)):
                for units, world in attempts:
                    for rank in range(world):
                        bench = small_bench(ledger, workload)
                        measure(bench, units, references, slice(rank, None, world))
            arrays = [ledger.required(unit.key, unit.row).arrays["mse@1"] for unit in rows]
            found.append(np.concatenate(arrays))
        assert all(np.array_equal(found[0], other) for other in found)
        errors[path] = found[0]
    for found_by in errors.values():
        np.testing.assert_allclose(found_by, errors[PATHS[0]], rtol=1e-4, atol=1e-9)


def test_what_is_there_is_not_computed_again(tmp_path: Path) -> None:
    ledger, workload = Ledger(tmp_path), small_workload()
    run_all(ledger, workload)
    before = {path: path.stat().st_mtime_ns for path in tmp_path.glob("*.npz")}
    run_all(ledger, workload)
    assert {path: path.stat().st_mtime_ns for path in tmp_path.glob("*.npz")} == before


def test_damaged_units_are_computed_anew_and_nothing_else(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Cut, emptied, turned, two swapped: of the reference, of the other network and of a row."""
    workload = small_workload()
    run_all(Ledger(tmp_path), workload)
    whole = {path: Ledger(tmp_path).required(path.stem, "it") for path in tmp_path.glob("*.npz")}
    units = [*workload.references(PROTOCOL), *workload.rows(PROTOCOL)]
    reference, other, *_, row, first, second = (tmp_path / f"{unit.key}.npz" for unit in units)
    truncated(reference)
    emptied(other)
    turned(row)
    swapped(first, second)
    run_all(Ledger(tmp_path), workload)
    assert len(caplog.messages) == 5
    again = Ledger(tmp_path)
    for path, before in whole.items():
        after = again.required(path.stem, "it")
        assert all(np.array_equal(after.arrays[name], before.arrays[name]) for name in after.arrays)
        damaged = path in (reference, other, row, first, second)
        assert (after.note != before.note) == damaged


def test_a_full_disk_ends_the_run_and_is_no_row_s_fault(tmp_path: Path) -> None:
    ledger, workload = Ledger(tmp_path), small_workload()
    references = workload.references(PROTOCOL)
    refer(small_bench(ledger, workload), references)
    with full_disk(1000), pytest.raises(DiskError, match=r"\.npz can't be written"):
        measure(small_bench(ledger, workload), workload.rows(PROTOCOL), references)
    assert ledger.failures() == {}
    assert len(list(tmp_path.iterdir())) == 3, "the references, and nothing half-written"


def test_the_teacher_against_itself_is_without_error(tmp_path: Path) -> None:
    """In the roles of denoiser-mse the tuning teacher is the reference: its own row would be 0."""
    ledger, workload = Ledger(tmp_path), small_workload()
    bench = small_bench(ledger, workload)
    references = workload.references(PROTOCOL)
    refer(bench, references)
    itself = [replace(unit, contestant=references[0].contestant) for unit in references]
    as_rows = [
        replace(unit, provenance=unit.provenance.model_copy(update={"role": "entry"}))
        for unit in itself
    ]
    measure(bench, as_rows, references)
    for unit in as_rows:
        arrays = ledger.required(unit.key, "row").arrays
        assert not arrays["mse@1"].any()
        assert (arrays["r2@1"] == 1).all()


def test_every_row_has_the_errors_of_its_own_denoiser(tmp_path: Path) -> None:
    entries = [{"name": name, "denoiser": name} for name in ("optimal", "wiener")]
    ledger, workload = Ledger(tmp_path), small_workload(entries=entries)
    run_all(ledger, workload)
    test = loaded().dataset.test
    assert test is not None
    problem, predict = workload.plan.problem(PROTOCOL, test), prediction_of(PROTOCOL)
    for unit in workload.rows(PROTOCOL)[3:]:
        with torch.no_grad():
            found = predict(workload.plan.built(unit.contestant), problem, unit.items)
            expected = mse_1(found, predict(loaded().tuning, problem, unit.items))
        errors = ledger.required(unit.key, unit.row).arrays["mse@1"]
        np.testing.assert_allclose(errors, expected.numpy(), rtol=1e-6, atol=1e-12)


def test_an_augmentation_that_raises_fails_its_own_row(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(self: HorizontalFlip, task: AugmentationTask) -> Source:
        raise RuntimeError("the mirror is broken")

    monkeypatch.setattr(HorizontalFlip, "augment", broken)
    ledger = Ledger(tmp_path)
    entries = [
        {"name": name, "denoiser": "optimal", "augmentations": [{"name": name, "rate": 1.0}]}
        for name in ("hflip", "vflip")
    ]
    run_all(ledger, small_workload(entries=entries), world=2)
    assert list(ledger.failures()) == [f"hflip.{PROTOCOL}"]
    assert "the mirror is broken" in ledger.failures()[f"hflip.{PROTOCOL}"]
    rows = small_workload(entries=entries).rows(PROTOCOL)
    assert [ledger.has(unit.key) for unit in rows] == [*[True] * 3, *[False] * 3, *[True] * 3]


def test_a_row_s_images_are_made_once_for_all_its_units(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[int] = []
    original = VerticalFlip.augment

    def counted(self: VerticalFlip, task: AugmentationTask) -> Source:
        made.append(1)
        return original(self, task)

    monkeypatch.setattr(VerticalFlip, "augment", counted)
    entry = {"name": "v", "denoiser": "wiener", "augmentations": [{"name": "vflip", "rate": 1.0}]}
    run_all(Ledger(tmp_path), small_workload(entries=[entry]))
    assert len(made) == 1


def test_without_the_reference_a_row_says_so(tmp_path: Path) -> None:
    ledger, workload = Ledger(tmp_path), small_workload()
    bench = small_bench(ledger, workload)
    measure(bench, workload.rows(PROTOCOL), workload.references(PROTOCOL))
    report = ledger.failures()[f"optimal.{PROTOCOL}"]
    assert "the reference's unit" in report
    assert "vanished from the ledger" in report


def test_test_images_that_a_dataset_lacks_are_sampled_in_blocks(tmp_path: Path) -> None:
    context = replace(loaded(), dataset=replace(loaded().dataset, test=None))
    plan = small_plan()
    workload = Workload(replace(plan, context=context.of(plan.suite)), ARITHMETIC)
    ledger = Ledger(tmp_path)
    with pytest.raises(RunError, match="sampled test images"):
        refer(small_bench(ledger, workload), workload.references(PROTOCOL))
    for task in sampling(small_bench(ledger, workload)):
        assert not task.there()
        task.do()
        assert task.there()
    for items, key in workload.sampled_images():
        noise = unit_noise(3, "held-out-samples", items, (1, 8, 8))  # the stream's name is frozen
        with torch.no_grad():
            expected = heun_sample(context.tuning, noise, context.sigmas).clamp(-1, 1)
        found = ledger.required(key, "images").arrays["prediction"]
        assert np.array_equal(found, expected.numpy())
    refer(small_bench(ledger, workload), workload.references(PROTOCOL))
    assert all(ledger.has(unit.key) for unit in workload.references(PROTOCOL))


def test_every_unit_has_a_note_of_its_own_time(tmp_path: Path) -> None:
    ledger, workload = Ledger(tmp_path), small_workload()
    run_all(ledger, workload)
    notes = [ledger.required(unit.key, unit.row).note for unit in workload.rows(PROTOCOL)]
    assert all(note.seconds > 0 for note in notes)
    assert len({note.seconds for note in notes}) == len(notes)
    assert {note.environment.processes for note in notes} == {1}
