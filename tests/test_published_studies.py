"""What the documents say of the studies in `leaderboards/` holds in their data."""

from pathlib import Path

import pandas as pd
import pytest

BOARDS = Path(__file__).parents[1] / "leaderboards"
PAPERS_BASES = ("pspc-square", "pspc-flex", "lukoianov")


def finetuned(suite: str) -> pd.DataFrame:
    """All that was learned on a suite, with `t`: how many standard errors it is off its base."""
    found = sorted((BOARDS / suite / "studies").glob("finetune-axes*.csv"))
    points = pd.concat([pd.read_csv(path) for path in found], ignore_index=True)
    return points.assign(t=points.difference / points.difference_se)


@pytest.mark.parametrize(("suite", "sigmas"), [("digits", (0.05, 1.2)), ("photos", (1.0, 3.5))])
def test_every_axis_lowers_the_error_at_intermediate_noise(
    suite: str, sigmas: tuple[float, float]
) -> None:
    points = finetuned(suite)
    points = points[points.sigma.between(*sigmas) & points.base.isin(PAPERS_BASES)]
    assert set(zip(points["base"], points["axes"], strict=True)) == {
        (base, axes) for base in PAPERS_BASES for axes in ("q", "r", "qr")
    }
    assert points.t.max() < {"digits": -9, "photos": -3.5}[suite]


def test_windows_gain_on_digits_too() -> None:
    points = finetuned("digits")
    assert points[points.sigma.between(0.05, 1.2) & (points.base == "windows")].t.max() < -7.9


@pytest.mark.parametrize("suite", ["digits", "photos"])
def test_nothing_learned_is_worse_than_its_base(suite: str) -> None:
    """But for rounding and noise: one in forty of so many is beyond two standard errors."""
    points = finetuned(suite)
    assert not ((points.difference > 1e-5 * points.base_mse) & (points.t > 2)).any()


def rates(entry: str, protocol: str) -> float:
    table = pd.read_csv(BOARDS / "digits/studies/synthetic-rates.csv")
    row = table[(table.entry == entry) & (table.protocol == protocol)]
    return float(row.mse.item())


@pytest.mark.parametrize("protocol", ["denoiser-mse", "sample-mse"])
@pytest.mark.parametrize("weights", ["windows+qr", "pspc-flex+qr"])
def test_more_synthetic_digits_lower_the_error(weights: str, protocol: str) -> None:
    errors = [rates(f"{weights}+synthetic-{rate}", protocol) for rate in (1, 5, 10)]
    assert errors == sorted(errors, reverse=True)
    assert rates("windows+qr+synthetic-10", protocol) < rates("pspc-flex+qr+synthetic-1", protocol)


def test_only_samples_of_the_teacher_help_on_digits() -> None:
    points = pd.read_csv(BOARDS / "digits/studies/augmentation.csv")
    most = points[points.rate == points.groupby("augmentation").rate.transform("max")]
    synthetic = most.augmentation == "synthetic"
    t = most.change_percent / most.change_percent_se
    assert t[synthetic].max() < -2
    assert t[~synthetic].min() > 2
