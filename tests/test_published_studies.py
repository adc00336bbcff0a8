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


def added(suite: str) -> pd.DataFrame:
    """All sources with more in them, with `t`: how many standard errors off the plain source."""
    points = pd.read_csv(BOARDS / suite / "studies/augmentation.csv")
    return points.assign(t=points.change_percent / points.change_percent_se)


def test_moved_and_mirrored_digits_harm_the_more_the_more_there_are() -> None:
    points = added("digits")
    points = points[points.augmentation != "synthetic"]
    assert points.augmentation.nunique() == 5
    assert points.t.min() > -1, "none helps, however few there are"
    assert points[(points.sigma > 1)].t.min() > 4
    for by in ("rate", "sigma"):
        others = [name for name in ("augmentation", "rate", "sigma") if name != by]
        ordered = points.sort_values(by).groupby(others).change_percent
        assert ordered.apply(lambda changes: changes.is_monotonic_increasing).all(), by


def test_samples_of_the_teacher_help_on_digits() -> None:
    points = added("digits")
    points = points[points.augmentation == "synthetic"]
    errors = points[points.sigma < 2].sort_values("rate").groupby("sigma").change_percent
    assert errors.apply(lambda changes: changes.is_monotonic_decreasing).all()
    assert points[(points.sigma < 2) & (points.rate >= 1)].t.max() < -4
    noisy = points[points.sigma > 2].set_index("rate").t
    assert noisy[0.5] > 3, "few of them harm where there is much noise"
    assert noisy[[5, 10, 20]].max() < -4
    assert -20 < points[points.rate == 20].change_percent.min() < -19


def test_everything_helps_on_photos_and_samples_of_the_teacher_most() -> None:
    points = added("photos")
    assert points.t.max() < 2, "nothing harms"
    most = points[points.rate == points.groupby("augmentation").rate.transform("max")]
    assert most[most.sigma < 1].t.max() < -3
    best = most.loc[most.groupby("sigma").change_percent.idxmin()]
    assert list(best.augmentation) == ["synthetic"] * 3
