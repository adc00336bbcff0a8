"""What a study says of a row: its change against its base, item by item, level by level."""

from pathlib import Path

import numpy as np
import pytest
import scipy.stats
from synthetic_records import EXACT_SIGMAS, write_synthetic

from fpmc_bench.documents.items import ItemValues
from fpmc_bench.documents.record import Record, read_record
from fpmc_bench.documents.study import StudyRow
from fpmc_bench.documents.suite import SourceAugmentation
from fpmc_bench.results.statistics import clustered_error
from fpmc_bench.results.study_points import augmentation_points, finetune_points

LEVELS = np.array([0.5, 2.0, 0.25, 0.01])
BASE = LEVELS * (1 + np.random.default_rng(0).random((9, 4)))
OWN = LEVELS * (0.5 + np.random.default_rng(1).random((9, 4)))
HFLIP = SourceAugmentation(name="hflip", rate=0.5)


@pytest.fixture
def records(tmp_path: Path) -> dict[str, tuple[Record, ItemValues]]:
    values = {"ls": BASE, "ls+q": OWN, "ls+hflip": OWN}
    return {
        name: read_record(write_synthetic(tmp_path, name, {"mse@1": mse, "r2@1": 1 - mse}))
        for name, mse in values.items()
    }


def test_learning_is_the_paired_change_of_the_error(
    records: dict[str, tuple[Record, ItemValues]],
) -> None:
    rows = [StudyRow(name="ls", base="ls"), StudyRow(name="ls+q", base="ls", axes=("q",))]
    points = finetune_points(rows, records)
    assert [(point.sigma, point.axes, point.items) for point in points] == [
        (sigma, "q", 9) for sigma in EXACT_SIGMAS
    ]
    for level, point in enumerate(points):
        before, after = BASE[:, level], OWN[:, level]
        assert (point.base_mse, point.mse) == pytest.approx((before.mean(), after.mean()))
        assert (point.base_mse_se, point.mse_se) == pytest.approx(
            (scipy.stats.sem(before), scipy.stats.sem(after))
        )
        assert point.difference == pytest.approx(after.mean() - before.mean())
        assert point.difference_se == pytest.approx(scipy.stats.sem(after - before))
        assert point.change_percent == pytest.approx(100 * (after.mean() / before.mean() - 1))
        expected = 100 * scipy.stats.sem(after - before) / before.mean()
        assert point.change_percent_se == pytest.approx(expected)


def test_a_source_with_more_in_it_is_the_change_in_percent_of_the_base_s_error(
    records: dict[str, tuple[Record, ItemValues]],
) -> None:
    rows = [
        StudyRow(name="ls", base="ls"),
        StudyRow(name="ls+hflip", base="ls", augmentations=(HFLIP,)),
    ]
    points = augmentation_points(rows, records)
    assert {(point.base, point.augmentation, point.rate, point.items) for point in points} == {
        ("ls", "hflip", 0.5, 9)
    }
    for level, (sigma, point) in enumerate(zip(EXACT_SIGMAS, points, strict=True)):
        before, after = BASE[:, level], OWN[:, level]
        assert point.sigma == sigma
        assert point.change_percent == pytest.approx(100 * (after.mean() / before.mean() - 1))
        expected = 100 * scipy.stats.sem(after - before) / before.mean()
        assert point.change_percent_se == pytest.approx(expected)


def test_rows_without_a_record_are_left_out(
    records: dict[str, tuple[Record, ItemValues]],
) -> None:
    rows = [StudyRow(name="ls", base="ls"), StudyRow(name="ls+r", base="ls", axes=("r",))]
    assert finetune_points(rows, records) == []
    del records["ls"]
    rows = [StudyRow(name="ls", base="ls"), StudyRow(name="ls+q", base="ls", axes=("q",))]
    assert finetune_points(rows, records) == []


def test_changes_on_items_in_groups_are_clustered(tmp_path: Path) -> None:
    groups = [0, 0, 0, 1, 1, 1, 2, 2, 2]
    spread = np.repeat([1.0, 4.0, 9.0], 3)[:, None]
    known = {
        name: read_record(write_synthetic(tmp_path, name, {"mse@1": mse}, groups=groups))
        for name, mse in {"ls": BASE, "ls+q": OWN * spread, "ls+hflip": OWN * spread}.items()
    }
    rows = [StudyRow(name="ls", base="ls"), StudyRow(name="ls+q", base="ls", axes=("q",))]
    added = StudyRow(name="ls+hflip", base="ls", augmentations=(HFLIP,))
    learned, augmented = finetune_points(rows, known), augmentation_points([rows[0], added], known)
    for level, (point, other) in enumerate(zip(learned, augmented, strict=True)):
        difference = (OWN * spread - BASE)[:, level]
        expected = clustered_error(difference, np.array(groups))
        assert point.difference_se == pytest.approx(expected)
        assert point.difference_se > 1.2 * scipy.stats.sem(difference)
        assert other.change_percent_se == pytest.approx(100 * expected / BASE[:, level].mean())
