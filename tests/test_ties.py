"""Ties: a level that holds for all rows together, and what must never move a mark."""

import math
import time
from random import Random

import numpy as np
import pytest
import scipy.stats
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from fpmc_bench.errors import InputError
from fpmc_bench.results import ties
from fpmc_bench.results.statistics import holm, paired_difference
from fpmc_bench.results.ties import FEWEST, tie_p_values, tied_with_best

RUNS = 200


def named(rows: np.ndarray) -> dict[str, np.ndarray]:
    return {f"row-{number:02}": row for number, row in enumerate(rows)}


@pytest.mark.parametrize(("rows", "size"), [(12, 1), (20, 1), (12, 4)])
def test_of_equal_rows_some_is_called_worse_in_one_table_of_twenty(
    monkeypatch: pytest.MonkeyPatch, rows: int, size: int
) -> None:
    """Paired t-tests against whichever came out best do so three times as often."""
    monkeypatch.setattr(ties, "FLIPS", 500)  # enough for a level
    random, items = np.random.default_rng(rows * size), 60
    groups = np.arange(items) // size
    called, before = 0, 0
    for _ in range(RUNS):
        noise = random.standard_normal((rows, items // size))[:, groups]
        noise = noise + random.standard_normal((rows, items)) / 2
        values = named(5 + random.standard_normal(items) + noise)
        called += len(tied_with_best(values, groups if size > 1 else None)) < rows
        best = min(values, key=lambda name: values[name].mean())
        tests = [paired_difference(v, values[best]).p_value for n, v in values.items() if n != best]
        before += min(holm(tests)) < 0.05
    # 5 % and what chance adds to it in so many tables, once in a thousand
    most = scipy.stats.binom.isf(1e-3, RUNS, 0.05)
    assert called <= most < before


def test_a_row_that_is_better_is_found() -> None:
    random = np.random.default_rng(5)
    rows = random.standard_normal((12, 200)) + 10 * random.standard_normal(200)
    rows[7] -= 6 * math.sqrt(2 / 200)
    assert tied_with_best(named(rows)) == {"row-07"}
    rows[3] = rows[7]
    assert tied_with_best(named(rows)) == {"row-03", "row-07"}


def test_two_rows_by_hand() -> None:
    """Of six differences, all of one sign, 2 in 64 assignments of signs are as extreme."""
    better = np.array([0.1, 0.4, 0.2, 0.8, 0.5, 0.3])
    p_values = tie_p_values({"a": better, "b": np.full(6, 0.9)})
    assert p_values == {"a": 1.0, "b": pytest.approx(2 / 64)}
    again = scipy.stats.permutation_test(
        (better, np.full(6, 0.9)),
        lambda x, y, axis: np.abs((x - y).mean(axis)),
        vectorized=True,
        permutation_type="samples",
        alternative="greater",
    )
    assert p_values["b"] == pytest.approx(again.pvalue)


def test_pairing_sees_what_overlapping_errors_hide() -> None:
    items = np.linspace(1, 100, 50)
    wiggle = np.cos(np.arange(50.0))
    values = {"best": items, "close": items + 0.01 * wiggle, "worse": items + 0.5 + 0.1 * wiggle}
    unpaired = scipy.stats.ttest_ind(values["best"], values["worse"])
    assert unpaired.pvalue > 0.9
    assert tied_with_best(values) == {"best", "close"}


def test_groups_are_what_is_independent() -> None:
    random = np.random.default_rng(0)
    groups = np.repeat(np.arange(8), 50)
    offsets = np.array([2.0, -1.0, 1.5, -0.5, 1.0, -0.8, 1.0, 0.4])
    worse = offsets[groups] + 0.1 * random.standard_normal(400)
    values = {"best": np.zeros(400), "worse": worse}
    assert tied_with_best(values) == {"best"}
    assert tied_with_best(values, groups) == {"best", "worse"}
    sums = np.array([worse[groups == group].sum() for group in range(8)])
    expected = tie_p_values({"best": np.zeros(8), "worse": sums})
    assert tie_p_values(values, groups) == pytest.approx(expected)


@pytest.mark.parametrize("items", range(1, FEWEST + 1))
def test_few_items_tell_nothing_apart_whatever_their_errors(items: int) -> None:
    random = np.random.default_rng(items)
    rows = {"good": random.random(items), "bad": 1e6 + random.random(items)}
    assert len(tied_with_best(rows)) == (1 if items == FEWEST else 2)
    copies = {name: np.repeat(row, 50) for name, row in rows.items()}
    groups = np.repeat(np.arange(items), 50)
    assert len(tied_with_best(copies, groups)) == (1 if items == FEWEST else 2)


def test_nothing_is_best_where_nothing_is_known() -> None:
    broken = np.array([0.0, math.nan])
    assert tied_with_best({"broken": broken}) == frozenset()
    assert tied_with_best({"broken": broken, "sound": np.array([1.0, 2.0])}) == {"sound"}
    assert tie_p_values({}) == {}
    p_values = tie_p_values({"a": np.arange(9.0), "b": np.full(9, math.inf), "c": np.arange(9.0)})
    assert math.isnan(p_values.pop("b"))
    assert p_values == {"a": 1.0, "c": 1.0}


def test_rows_of_other_items_are_refused() -> None:
    with pytest.raises(InputError, match=r"over the same items, got \[2, 3\] values"):
        tie_p_values({"a": np.zeros(2), "b": np.zeros(3)})


ROWS = st.tuples(st.integers(1, 6), st.integers(1, 16)).flatmap(
    lambda shape: arrays(np.float64, shape, elements=st.integers(-99, 99).map(float))
)


@given(ROWS, st.randoms(use_true_random=False))
def test_marks_are_of_what_is_measured_and_not_of_names_or_units(
    rows: np.ndarray, random: Random
) -> None:
    p_values = list(tie_p_values(named(rows)).values())
    assert all(0 < p <= 1 for p in p_values)
    assert p_values[int(np.argmin(rows.mean(axis=1)))] == 1
    order = list(range(len(rows)))
    random.shuffle(order)
    assert list(tie_p_values(named(rows[order])).values()) == pytest.approx(
        [p_values[row] for row in order]
    )
    shared = np.arange(rows.shape[1]) * 2.0
    assert list(tie_p_values(named(rows * 8 + shared)).values()) == pytest.approx(p_values)


def test_a_large_table_is_quick() -> None:
    rows = named(np.random.default_rng(0).standard_normal((20, 1000)))
    tie_p_values(rows)
    started = time.process_time()
    tie_p_values(rows)
    assert time.process_time() - started < 1.0


def test_a_row_is_no_more_surely_worse_than_those_that_went_before_it() -> None:
    noise = np.random.default_rng(0).standard_normal((2, 40))
    noise = (noise - noise.mean(axis=1, keepdims=True)) / noise.std(axis=1, keepdims=True)
    surely = {"b": noise[0] + 2.6 / math.sqrt(39), "c": noise[1] + 2.5 / math.sqrt(39)}
    alone = tie_p_values({"a": np.zeros(40), "c": surely["c"]})["c"]
    p_values = tie_p_values({"a": np.zeros(40), **surely})
    assert alone < p_values["b"] == p_values["c"]
    assert p_values == tie_p_values({"a": np.zeros(40), **surely}), "not the same every time"
