"""Comparing two rows: against scipy, whichever way round, and refused where items differ."""

import csv
import io
import json
import math
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import scipy.stats
from click.testing import CliRunner, Result
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from synthetic_records import EXACT_SIGMAS, write_exact_records, write_synthetic

from fpmc_bench.cli import main
from fpmc_bench.documents.record import read_record
from fpmc_bench.errors import RunError, UnknownNameError, UsageError
from fpmc_bench.results import intervals
from fpmc_bench.results.compare import Comparison, compare, needed_units
from fpmc_bench.results.intervals import Interval, interval_of
from fpmc_bench.results.sides import Pair, Side, pairs_of
from fpmc_bench.results.statistics import holm, paired_difference

LEVELS = np.array([0.5, 2.0, 0.25, 0.01])


def side(folder: Path, name: str, mse: np.ndarray, **changes: Any) -> Side:
    """A row of denoiser-mse with these errors [items,sigmas]."""
    values = {"mse@1": mse, "r2-pooled@1": np.full_like(mse, 4), "r2@1": 1 - mse}
    record, items = read_record(write_synthetic(folder, name, values, **changes))
    return Side(name, {"denoiser-mse": (record, items)})


def errors(seed: int, items: int = 30) -> np.ndarray:
    return LEVELS * (1 + np.random.default_rng(seed).random((items, 4)))


def test_a_comparison_is_a_paired_t_test_of_the_items_means(tmp_path: Path) -> None:
    first, second = errors(0), errors(1)
    (found,) = compare([Pair(side(tmp_path, "a", first), side(tmp_path, "b", second))])
    a, b = first.mean(axis=1), second.mean(axis=1)
    expected = scipy.stats.ttest_rel(a, b)
    assert found.difference == pytest.approx((a - b).mean(), rel=1e-12)
    assert found.standard_error == pytest.approx(scipy.stats.sem(a - b), rel=1e-12)
    assert found.p_value == found.adjusted_p == pytest.approx(expected.pvalue, rel=1e-9)
    assert (found.wins, found.ties, found.losses) == ((a < b).sum(), 0, (a > b).sum())
    assert found.interval.method == "BCa"
    t = expected.confidence_interval()
    assert (found.interval.low, found.interval.high) == pytest.approx(t, abs=found.standard_error)
    assert (found.items, found.groups, found.sigma) == (30, None, None)


def test_by_sigma_each_level_stands_for_itself_and_all_are_adjusted_together(
    tmp_path: Path,
) -> None:
    first, second = errors(0), errors(1)
    pair = Pair(side(tmp_path, "a", first), side(tmp_path, "b", second))
    found = compare([pair], by_sigma=True)
    assert [one.sigma for one in found] == list(EXACT_SIGMAS)
    tests = [scipy.stats.ttest_rel(first[:, level], second[:, level]).pvalue for level in range(4)]
    assert [one.p_value for one in found] == pytest.approx(tests, rel=1e-9)
    assert [one.adjusted_p for one in found] == pytest.approx(holm(tests), rel=1e-9)


def test_much_is_better_where_the_metric_says_so(tmp_path: Path) -> None:
    pair = Pair(side(tmp_path, "a", errors(0)), side(tmp_path, "b", errors(0) + 1))
    for metric, difference in (("mse@1", -1), ("r2@1", 1), ("r2-pooled@1", 1 / 4)):
        (found,) = compare([pair], metric)
        assert found.difference == pytest.approx(difference)
        assert (found.wins, found.losses) == (30, 0)


def test_groups_are_what_is_independent_and_resampled(tmp_path: Path) -> None:
    groups = np.repeat(np.arange(12), 10)
    offsets = np.random.default_rng(0).standard_normal(12)[groups][:, None]
    first, second = errors(0, 120) + 3 + offsets, errors(1, 120) + 3
    sides = [
        side(tmp_path, name, mse, groups=groups) for name, mse in (("a", first), ("b", second))
    ]
    (found,) = compare([Pair(*sides)])
    of_groups = (first - second).mean(axis=1).reshape(12, 10).mean(axis=1)
    expected = scipy.stats.ttest_1samp(of_groups, 0)
    assert found.groups == 12
    assert found.p_value == pytest.approx(expected.pvalue, rel=1e-9)
    assert found.interval.method == "BCa"
    assert found.interval.high - found.interval.low > 3 * scipy.stats.sem(of_groups)
    assert found.needed is not None
    again = needed_units(float(of_groups.mean()), float(of_groups.std(ddof=1)))
    assert found.needed == pytest.approx(again)
    assert found.needed > 12


NUMBERS = st.integers(-(10**4), 10**4).map(lambda number: number / 128)


@settings(deadline=None, max_examples=25)
@given(
    st.integers(2, 25).flatmap(lambda n: arrays(np.float64, n, elements=NUMBERS)),
    st.integers(1, 2),
    st.randoms(use_true_random=False),
)
def test_the_other_way_round_it_is_the_opposite_and_items_have_no_order(
    differences: np.ndarray, size: int, random: Any
) -> None:
    assume(differences.mean() != 0)
    groups = None if size == 1 else np.arange(len(differences)) // size
    zeros = np.zeros(len(differences))
    found = paired_difference(differences, zeros, groups)
    interval = interval_of(differences, found, groups)
    other = paired_difference(zeros, differences, groups)
    opposite = interval_of(-differences, other, groups)
    assert (other.mean, other.p_value) == (-found.mean, found.p_value)
    if interval.method == "none":
        assert found.degrees_of_freedom == 0
        return
    assert (opposite.low, opposite.high) == (-interval.high, -interval.low)
    order = list(range(len(differences)))
    random.shuffle(order)
    shuffled = paired_difference(
        differences[order], zeros, None if groups is None else groups[order]
    )
    again = interval_of(differences[order], shuffled, None if groups is None else groups[order])
    assert (again.low, again.high) == pytest.approx((interval.low, interval.high), rel=1e-9)
    assert shuffled.p_value == pytest.approx(found.p_value, rel=1e-9)


def test_intervals_hold_what_they_promise(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of skewed differences, whose mean an interval should miss in one of twenty samples."""
    monkeypatch.setattr(intervals, "RESAMPLES", 499)
    random, covered, runs = np.random.default_rng(0), 0, 300
    for _ in range(runs):
        differences = random.exponential(size=40)
        found = paired_difference(differences, np.zeros(40))
        interval = interval_of(differences, found, None)
        covered += interval.low <= 1 <= interval.high
    low, high = scipy.stats.binom.ppf([1e-3, 0.999], runs, 0.94)
    assert low <= covered <= high


@pytest.mark.parametrize(
    ("differences", "groups", "method"),
    [
        (np.arange(9.0), None, "t"),
        (np.arange(10.0), None, "BCa"),
        (np.ones(50), None, "t"),
        (np.zeros(50), None, "t"),
        (np.arange(50.0), np.arange(50) // 10, "t"),
        (np.arange(50.0), np.zeros(50, dtype=np.int64), "none"),
        (np.array([2.0]), None, "none"),
        (np.array([1.0, math.nan]), None, "none"),
        (np.arange(5001.0), None, "t"),
    ],
)
def test_how_an_interval_is_made_is_said(
    differences: np.ndarray, groups: np.ndarray | None, method: str
) -> None:
    found = paired_difference(differences, np.zeros(len(differences)), groups)
    interval = interval_of(differences, found, groups)
    assert interval.method == method
    if method == "none":
        assert math.isnan(interval.low)
    elif groups is None and method == "t":
        expected = (found.mean, found.mean)
        if found.standard_error:
            degrees = len(differences) - 1
            expected = scipy.stats.t.interval(0.95, degrees, found.mean, found.standard_error)
        assert (interval.low, interval.high) == pytest.approx(expected)


@pytest.mark.parametrize("effect", [0.2, 0.7, 3.0])
def test_as_many_items_as_are_said_find_a_difference_in_four_of_five_cases(effect: float) -> None:
    units = int(needed_units(-effect, 1.0))
    random = np.random.default_rng(units)
    drawn = effect + random.standard_normal((4000, units))
    found = (scipy.stats.ttest_1samp(drawn, 0, axis=1).pvalue < 0.05).mean()
    fewer = (scipy.stats.ttest_1samp(drawn[:, 1:], 0, axis=1).pvalue < 0.05).mean()
    assert found > 0.78
    assert fewer < 0.82
    assert needed_units(effect, 1.0, comparisons=10) > units


def test_what_can_not_be_told_apart_and_what_is() -> None:
    assert needed_units(0.0, 1.0) == math.inf
    assert needed_units(0.5, 0.0) == 2
    assert needed_units(1e-6, 1.0) == pytest.approx(7.849e12, rel=1e-3)
    assert needed_units(5e-324, 1.0) == math.inf


@pytest.fixture
def run(tmp_path: Path) -> Path:
    write_exact_records(tmp_path / "run" / "records")
    return tmp_path / "run"


def names(pairs: tuple[Pair, ...]) -> list[tuple[str, str]]:
    return [(pair.a.name, pair.b.name) for pair in pairs]


def test_rows_are_named_in_every_way(run: Path) -> None:
    other = run.parent / "other"
    shutil.copytree(run, other)
    assert names(pairs_of(["ls", "els", "optimal"], run)) == [
        ("ls", "els"),
        ("ls", "optimal"),
        ("els", "optimal"),
    ]
    assert names(pairs_of([f"ls@{run}", f"els@{other}"])) == [("ls", "els")]
    assert names(pairs_of([f"ls@{run}", f"ls@{other}"])) == [(f"ls@{run}", f"ls@{other}")]
    assert names(pairs_of(["ls", f"els@{other}"], run)) == [("ls", "els")]
    file = str(run / "records" / "ls.sample-mse.json")
    (pair,) = pairs_of([file, f"els@{other / 'records'}"])
    assert pair.protocols == ("sample-mse",)
    for path in (other / "records").glob("els.*"):
        path.unlink()
    rows = names(pairs_of([str(run), str(other)]))
    assert ("els", "els") not in [(a.partition("@")[0], b.partition("@")[0]) for a, b in rows]
    assert rows[0] == (f"ls@{run}", f"ls@{other}")
    assert len(rows) == 5
    assert {pair.protocols for pair in pairs_of(["ls", "els"], run, "sample-mse")} == {
        ("sample-mse",)
    }


@pytest.mark.parametrize(
    ("arguments", "inside", "error", "said"),
    [
        (["ls"], True, UsageError, "name two rows, or two folders"),
        (["ls", "ls"], True, UsageError, "nothing is compared with itself: ls, ls"),
        (["ls", "elss"], True, UnknownNameError, "Did you mean 'els'"),
        (["ls", "els"], False, UsageError, "give --in FOLDER, or ls@FOLDER"),
        (["ls@nowhere", "els"], True, UsageError, "there is no folder nowhere"),
        (["ls@{run}", "{run}"], False, UsageError, r"a row of a folder is ENTRY@"),
        (["gone.json", "ls"], True, RunError, r"gone\.json can't be read"),
        (["teacher_b", "teacher-a"], True, RunError, "no row in common under any protocol"),
        (["{run}", "{run}/records"], False, UsageError, "nothing is compared with itself"),
        (["ls", "ls@{run}"], True, UsageError, "nothing is compared with itself"),
    ],
)
def test_what_names_no_two_rows_is_refused(
    run: Path, arguments: list[str], inside: bool, error: type[Exception], said: str
) -> None:
    with pytest.raises(error, match=said):
        pairs_of([one.format(run=run) for one in arguments], run if inside else None)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"provenance": {"seed": 1}}, "their provenance.seed differ, 0 and 1"),
        ({"provenance": {"test": "e"}}, "their provenance.test differ"),
        ({"reference": "another"}, "their reference differ"),
        ({"suite_fingerprint": "e"}, "their suite_fingerprint differ"),
        ({"sigmas": (80.0, 8.0, 0.5, 0.1)}, "their provenance.sigmas differ"),
        ({"groups": [0, 1] * 15}, "the groups of their items differ"),
    ],
)
def test_rows_of_other_items_are_refused_by_what_differs(
    tmp_path: Path, changes: dict[str, Any], said: str
) -> None:
    a, b = side(tmp_path, "a", errors(0)), side(tmp_path, "b", errors(1), **changes)
    with pytest.raises(RunError, match=rf"a and b can't be compared item by item .*: {said}"):
        compare([Pair(a, b)])


def test_a_metric_that_one_lacks_and_altered_figures_are_refused(tmp_path: Path) -> None:
    a, b = side(tmp_path, "a", errors(0)), side(tmp_path, "b", errors(1))
    with pytest.raises(RunError, match=r"a has no r2@2 under denoiser-mse, but mse@1, r2"):
        compare([Pair(a, b)], "r2@2")
    record, items = b.records["denoiser-mse"]
    better = record.figures["mse@1"].model_copy(update={"mean": 0.0})
    forged = record.model_copy(update={"figures": {**record.figures, "mse@1": better}})
    with pytest.raises(RunError, match="mse@1 is stated as 0"):
        compare([Pair(a, Side("b", {"denoiser-mse": (forged, items)}))])


def test_a_row_that_is_not_a_number_is_shown_as_not_known(tmp_path: Path) -> None:
    broken = errors(1)
    broken[3, 1] = math.nan
    pair = Pair(side(tmp_path, "a", errors(0)), side(tmp_path, "b", broken))
    found = compare([pair, Pair(pair.b, pair.a)])
    assert all(math.isnan(one.adjusted_p) and one.needed is None for one in found)
    assert found[0].interval.method == "none"


def call(*arguments: str | Path) -> Result:
    return CliRunner().invoke(main, ["compare", *map(str, arguments)])


def test_the_command_prints_a_table_a_protocol_and_says_what_it_means(run: Path) -> None:
    done = call("ls", "optimal", "pspc_50", "--in", run)
    assert done.exit_code == 0, done.output
    assert "denoiser-mse: mse@1, a - b over 8 items" in done.stdout
    assert "sample-mse: mse@1" in done.stdout
    assert "Holm-adjusted for 3 comparisons" in done.stdout
    assert "8/0/0" in done.stdout
    line = next(one for one in done.stdout.splitlines() if one.startswith("ls "))
    assert line.endswith("done")
    assert max(map(len, done.stdout.splitlines())) <= 120


def test_groups_are_said_and_so_is_that_they_are_few(tmp_path: Path) -> None:
    for seed, name in enumerate(("a", "b")):
        side(tmp_path, name, errors(seed), groups=[0] * 15 + [1] * 15)
    shown = call("a", "b", "--in", tmp_path).stdout
    assert "a - b over 30 items in 2 groups" in shown
    assert "Errors of 2 groups are themselves rough." in shown
    assert "so many groups, with differences" in shown
    plain = json.loads(call("a", "b", "--in", tmp_path, "--json").stdout)
    assert (plain[0]["groups"], plain[0]["interval"]) == (2, "t")


def test_two_folders_are_compared_entry_by_entry(run: Path) -> None:
    other = run.parent / "other"
    shutil.copytree(run, other)
    shown = call(run, other, "-p", "sample-mse").stdout
    assert f"a: {run}\nb: {other}\n" in shown
    assert "never: equal" in shown
    assert "0/8/0" in shown
    protocols = [one["protocol"] for one in json.loads(call(run, other, "--json").stdout)]
    assert protocols == sorted(protocols), "in the order of tables"


def test_rows_that_one_folder_alone_has_are_named(run: Path) -> None:
    other = run.parent / "other"
    shutil.copytree(run, other)
    for path in (*other.glob("records/els.*"), *run.glob("records/ls.sample-mse.*")):
        path.unlink()
    done = call(run, other, "--json")
    assert {one["a"] for one in json.loads(done.stdout)} == {
        f"{name}@{run}" for name in ("ls", "optimal", "pspc_50", "teacher-a", "teacher_b")
    }
    alone = [f"els.denoiser-mse@{run}", f"els.sample-mse@{run}", f"ls.sample-mse@{other}"]
    assert done.stderr == f"left out, for one folder alone has it: {', '.join(alone)}\n"
    assert alone[0] not in call(run, other, "-p", "sample-mse").stderr
    assert call("ls", "optimal", "--in", run).stderr == ""


def test_a_row_of_two_runs_is_named_with_both(run: Path) -> None:
    other = run.parent / "other"
    shutil.copytree(run, other)
    assert f"a: {run}\nb: {other}\n" in call("ls", f"ls@{other}", "--in", run).stdout


def test_csv_and_json_have_every_number(run: Path) -> None:
    plain = json.loads(call("ls", "optimal", "--in", run, "--json", "--by-sigma").stdout)
    # samples have no noise level of their own
    assert [(one["protocol"], one["sigma"]) for one in plain] == [
        ("denoiser-mse", sigma) for sigma in EXACT_SIGMAS
    ]
    assert all(one["adjusted_p_value"] >= one["p_value"] for one in plain)
    lines = list(csv.DictReader(io.StringIO(call("ls", "els", "--in", run, "--csv").stdout)))
    (one, two) = json.loads(call("ls", "els", "--in", run, "-f", "json").stdout)
    assert [line["protocol"] for line in lines] == [one["protocol"], two["protocol"]]
    assert float(lines[0]["standard_error"]) == one["standard_error"]
    assert lines[0]["needed"] == one["needed"] == "never"


def test_what_is_wrong_is_one_line(run: Path) -> None:
    wrong = call("ls", "elss", "--in", run)
    assert wrong.exit_code == 2
    assert "Did you mean 'els'" in wrong.stderr
    assert call("ls", "els", "--in", run, "--metric", "mse@2").exit_code == 1
    samples = call("ls", "els", "--in", run, "-p", "sample-mse", "--by-sigma")
    assert samples.exit_code == 1
    assert "sample-mse measures an item with all noise levels" in samples.stderr
    assert call("--in", run).exit_code == 2


def test_a_comparison_knows_whether_it_tells_apart() -> None:
    some = Comparison(
        *("p", "m", "a", "b", None, 9, None, 1.0, 0.1, Interval(0.8, 1.2, "t")),
        *(0.04, 0.06, 9, 0, 0, 12.0),
    )
    assert not some.is_told_apart
