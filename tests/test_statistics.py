"""Statistics against scipy, against hand-computed cases, and where they must say "not known"."""

import itertools
import math

import numpy as np
import pytest
import scipy.stats
from hypothesis import assume, given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from fpmc_bench.documents.record import Figure
from fpmc_bench.errors import InputError
from fpmc_bench.results.statistics import (
    clustered_error,
    half_width,
    holm,
    item_error,
    item_means,
    mean_and_error,
    paired_difference,
)

# hundredths: differences that are either zero or far above rounding
VALUES = st.integers(-(10**6), 10**6).map(lambda number: number / 100)
LENGTHS = st.integers(2, 40)


@given(LENGTHS.flatmap(lambda n: arrays(np.float64, n, elements=VALUES)))
def test_mean_and_error_agree_with_scipy(values: np.ndarray) -> None:
    figure = mean_and_error(values)
    assert figure.n == values.size
    assert figure.mean == pytest.approx(math.fsum(values) / values.size, rel=1e-9, abs=1e-9)
    assert figure.standard_error == pytest.approx(scipy.stats.sem(values), rel=1e-9)


def test_mean_and_error_by_hand() -> None:
    figure = mean_and_error([1.0, 2.0, 3.0, 6.0])  # squared deviations 4 + 1 + 0 + 9, over 3
    assert figure.mean == 3
    assert figure.standard_error == pytest.approx(math.sqrt(14 / 3) / 2)


def test_one_value_has_no_error_and_equal_ones_have_error_zero() -> None:
    single = mean_and_error([0.25])
    assert (single.mean, single.n) == (0.25, 1)
    assert math.isnan(single.standard_error)
    assert mean_and_error([0.25] * 5).standard_error == 0


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_what_is_not_finite_is_never_dropped(bad: float) -> None:
    figure = mean_and_error([1.0, bad, 2.0])
    assert math.isnan(figure.mean)
    assert math.isnan(figure.standard_error)
    assert figure.n == 3
    assert math.isnan(paired_difference([1.0, bad], [1.0, 2.0]).p_value)


@pytest.mark.parametrize("values", [[], [[1.0, 2.0]], 3.0])
def test_mean_and_error_want_one_value_an_item(values: object) -> None:
    with pytest.raises(InputError, match="one value an item"):
        mean_and_error(values)  # type: ignore[arg-type]


def test_item_means_average_over_noise_levels() -> None:
    assert item_means([[1.0, 3.0], [5.0, 9.0]]).tolist() == [2, 7]
    assert item_means([1.0, 3.0]).tolist() == [1, 3]


@given(LENGTHS.flatmap(lambda n: arrays(np.float64, (2, n), elements=VALUES)))
def test_paired_difference_agrees_with_scipy(pair: np.ndarray) -> None:
    a, b = pair
    assume(np.ptp(a - b) > 0.005)
    difference = paired_difference(a, b)
    expected = scipy.stats.ttest_rel(a, b)
    assert difference.mean == pytest.approx(np.mean(a - b), rel=1e-9, abs=1e-9)
    assert difference.standard_error == pytest.approx(scipy.stats.sem(a - b), rel=1e-9)
    assert difference.p_value == pytest.approx(expected.pvalue, rel=1e-6, abs=1e-12)
    assert paired_difference(b, a).p_value == pytest.approx(difference.p_value, rel=1e-9)


def test_paired_difference_by_hand() -> None:
    difference = paired_difference([1.0, 2.0, 3.0, 4.0], [0.0, 0.0, 1.0, 1.0])  # 1, 2, 2, 3
    assert difference.mean == 2
    assert difference.standard_error == pytest.approx(math.sqrt(2 / 3) / 2)
    t = 2 / difference.standard_error
    # Student's t of three degrees of freedom, in closed form
    tail = math.atan(t / math.sqrt(3)) + math.sqrt(3) * t / (3 + t * t)
    assert difference.p_value == pytest.approx(1 - 2 * tail / math.pi)
    assert difference.n == 4


def test_differences_without_spread() -> None:
    assert paired_difference([1.0, 2.0], [1.0, 2.0]).p_value == 1
    assert paired_difference([2.0, 3.0], [1.0, 2.0]).p_value == 0
    single = paired_difference([2.0], [1.0])
    assert (single.mean, single.p_value) == (1, 1)
    assert math.isnan(single.standard_error)


def test_paired_difference_wants_the_same_items() -> None:
    with pytest.raises(InputError, match="got 3 and 2 values"):
        paired_difference([1.0, 2.0, 3.0], [1.0, 2.0])


def test_holm_by_hand() -> None:
    assert holm([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.06, 0.06])
    assert holm([0.5, 0.9]) == [1.0, 1.0]
    assert holm([]) == []


@given(st.lists(st.floats(0, 1), min_size=1, max_size=6))
def test_holm_is_the_closure_of_bonferroni(p: list[float]) -> None:
    """A hypothesis falls where Bonferroni rejects every intersection that contains it."""
    indices = range(len(p))
    subsets = [s for size in indices for s in itertools.combinations(indices, size + 1)]
    for index, adjusted in enumerate(holm(p)):
        expected = max(min(1, len(s) * min(p[i] for i in s)) for s in subsets if index in s)
        assert adjusted == pytest.approx(expected)


@pytest.mark.parametrize("bad", [math.nan, -0.1, 1.1])
def test_holm_refuses_what_is_no_probability(bad: float) -> None:
    with pytest.raises(InputError, match=r"\[0, 1\]"):
        holm([0.5, bad])


GROUPS = np.array([5, 5, 5, 2, 2, 9, 9, 9, 9])
CLUSTERED = np.array([1.0, 1.1, 0.9, 3.0, 3.2, 5.1, 5.0, 4.9, 5.0])


def test_errors_of_groups_are_those_of_their_sums() -> None:
    """By hand: the sums of deviations from the mean, of each group, with G/(G-1) and G - 1."""
    figure = mean_and_error(CLUSTERED, GROUPS)
    mean = CLUSTERED.mean()
    sums = [CLUSTERED[:3].sum() - 3 * mean, CLUSTERED[3:5].sum() - 2 * mean]
    sums.append(CLUSTERED[5:].sum() - 4 * mean)
    expected = math.sqrt(3 / 2 * sum(one**2 for one in sums)) / 9
    assert (figure.mean, figure.n) == (mean, 9)
    assert figure.standard_error == pytest.approx(expected, rel=1e-12)
    assert figure.standard_error > 1.5 * mean_and_error(CLUSTERED).standard_error
    difference = paired_difference(CLUSTERED, np.ones(9), GROUPS)
    assert difference.degrees_of_freedom == 2
    t = (mean - 1) / expected
    assert difference.p_value == pytest.approx(2 * scipy.stats.t.sf(t, 2), rel=1e-9)


@given(LENGTHS.flatmap(lambda n: arrays(np.float64, n, elements=VALUES)), st.integers(1, 5))
def test_errors_of_groups_of_equal_size_are_those_of_their_means(
    values: np.ndarray, size: int
) -> None:
    """Nothing is independent but the groups: so many copies of a value tell no more than one."""
    copies, groups = np.repeat(values, size), np.repeat(np.arange(values.size), size)
    expected = scipy.stats.sem(values)
    assert clustered_error(copies, groups) == pytest.approx(expected, rel=1e-9, abs=1e-9)


def test_errors_of_groups_are_never_below_those_of_independent_items() -> None:
    values, groups = np.array([1.0, 3.0, 1.0, 3.0]), np.array([0, 0, 1, 1])
    assert mean_and_error(values, groups).standard_error == item_error(values) > 0


def test_one_group_tells_nothing_of_others() -> None:
    one = np.zeros(9, dtype=np.int64)
    assert math.isnan(mean_and_error(CLUSTERED, one).standard_error)
    assert paired_difference(CLUSTERED, np.zeros(9), one).p_value == 1


def test_an_interval_of_few_groups_is_wide() -> None:
    """Of two groups Student's t reaches twelve standard errors, not two."""
    figure = Figure(mean=1.0, standard_error=0.01, n=200)
    assert half_width(figure, 2) == pytest.approx(0.01 * 12.7062, rel=1e-5)
    assert half_width(figure, 200) == pytest.approx(0.01 * 1.97196, rel=1e-5)
    assert half_width(figure.model_copy(update={"standard_error": np.nan}), 2) == 0
