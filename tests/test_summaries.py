"""Figures from items: means as they are, a ratio of sums with the error of its linearisation."""

import math
from pathlib import Path

import numpy as np
import pytest
import scipy.stats
from synthetic_records import write_synthetic

from fpmc_bench.documents.items import ItemValues
from fpmc_bench.documents.record import read_record
from fpmc_bench.errors import RunError
from fpmc_bench.results.checks import refuse_altered
from fpmc_bench.results.statistics import mean_and_error
from fpmc_bench.results.summaries import contributions, figure_of

RANDOM = np.random.default_rng(0)
SPREAD = RANDOM.gamma(2.0, size=(400, 3))
ERRORS = SPREAD * RANDOM.gamma(1.0, 0.2, size=(400, 3))
VALUES = ItemValues({"mse@1": ERRORS, "r2-pooled@1": SPREAD, "r2@1": 1 - ERRORS / SPREAD})


@pytest.mark.parametrize("level", [None, 0, 2])
def test_a_metric_that_is_a_mean_is_that_of_its_items(level: int | None) -> None:
    for metric in ("mse@1", "r2@1"):
        items = VALUES[metric].mean(axis=1) if level is None else VALUES[metric][:, level]
        assert figure_of(VALUES, metric, level) == mean_and_error(items)


def test_the_pooled_ratio_is_one_over_all_items_and_levels() -> None:
    figure = figure_of(VALUES, "r2-pooled@1")
    assert figure.mean == pytest.approx(1 - ERRORS.sum() / SPREAD.sum(), rel=1e-12)
    at = figure_of(VALUES, "r2-pooled@1", 1)
    assert at.mean == pytest.approx(1 - ERRORS[:, 1].sum() / SPREAD[:, 1].sum(), rel=1e-12)


def test_the_pooled_ratio_s_error_is_what_resampling_gives() -> None:
    def ratio(errors: np.ndarray, spread: np.ndarray, axis: int) -> np.ndarray:
        return 1 - errors.sum(axis) / spread.sum(axis)

    again = scipy.stats.bootstrap(
        (ERRORS[:, 0], SPREAD[:, 0]), ratio, paired=True, n_resamples=4000, rng=0, method="basic"
    )
    found = figure_of(VALUES, "r2-pooled@1", 0)
    assert found.standard_error == pytest.approx(again.standard_error, rel=0.05)


def test_flat_images_count_for_what_they_hold() -> None:
    """An item whose reference is flat, where r2@1 is a quotient of two tiny numbers."""
    flat = {"mse@1": np.array([0.1, 0.1, 1e-9]), "r2-pooled@1": np.array([1.0, 1.0, 1e-12])}
    figure = figure_of(ItemValues(flat), "r2-pooled@1")
    assert figure.mean == pytest.approx(0.9, abs=1e-6)
    assert figure.standard_error < 1e-6
    nothing = {"mse@1": np.ones(3), "r2-pooled@1": np.zeros(3)}
    assert math.isnan(figure_of(ItemValues(nothing), "r2-pooled@1").mean)


def test_the_pooled_ratio_is_clustered_as_all_figures_are() -> None:
    groups = np.arange(400) // 40
    clustered = ItemValues({**VALUES, "mse@1": ERRORS * (1 + groups[:, None] % 3)}, groups)
    found = figure_of(clustered, "r2-pooled@1")
    items = contributions(clustered, "r2-pooled@1")
    assert found == mean_and_error(items, groups)
    assert found.standard_error > 1.5 * mean_and_error(items).standard_error


@pytest.mark.parametrize("where", ["figures", "per_sigma", "groups"])
def test_a_record_s_pooled_ratio_and_groups_are_those_of_its_items(
    tmp_path: Path, where: str
) -> None:
    values = {metric: array[:8] for metric, array in VALUES.items()}
    sigmas = (80.0, 1.0, 0.002)
    path = write_synthetic(tmp_path, "ls", values, sigmas=sigmas, groups=[0, 0, 1, 1, 2, 2, 3, 3])
    record, items = read_record(path)
    refuse_altered(record, items, "mse@1")
    figure = record.figures["r2-pooled@1"].model_copy(update={"mean": 0.99})
    better = {**record.figures, "r2-pooled@1": figure}
    changes = {
        "figures": {"figures": better},
        "per_sigma": {
            "per_sigma": (
                record.per_sigma[0].model_copy(update={"figures": better}),
                *record.per_sigma[1:],
            )
        },
        "groups": {"groups": 5},
    }
    said = {
        "figures": "json: r2-pooled@1 is stated as 0.99",
        "per_sigma": "at sigma 80 is stated as",
        "groups": "of 5 groups, and those in ls.denoiser-mse.npz of 4",
    }
    with pytest.raises(RunError, match=said[where]):
        refuse_altered(record.model_copy(update=changes[where]), items, "mse@1")
