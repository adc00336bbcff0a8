"""How long a queue takes: as if every task were handed out, one after the other."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fpmc_bench.harness.forecast.makespan import Alike, makespan

KINDS = st.builds(Alike, st.floats(0, 1e4), st.integers(0, 40), st.sampled_from([0.0, 1.0, 50.0]))


def handed_out(kinds: list[Alike], busy: list[float]) -> float:
    free = list(busy)
    for alike in sorted(kinds, key=lambda one: one.seconds, reverse=True):
        begun = set()
        for _ in range(alike.count):
            process = free.index(min(free))
            free[process] += alike.seconds + (0.0 if process in begun else alike.beginning)
            begun.add(process)
    return max(free)


@given(st.lists(KINDS, max_size=5), st.lists(st.floats(0, 1e4), min_size=1, max_size=4))
def test_many_tasks_are_counted_as_if_each_were_handed_out(
    kinds: list[Alike], busy: list[float]
) -> None:
    # who is first among equals is a matter of last bits
    assert makespan(kinds, busy) == pytest.approx(handed_out(kinds, busy), rel=1e-9)


def test_a_million_units_are_no_more_work_than_a_few() -> None:
    kinds = [Alike(0.5, 10**12, 3.0), Alike(0.25, 3)]
    assert makespan(kinds, [0.0, 1.0]) == pytest.approx(0.25 * 10**12 + 3.5, abs=1.0)
    assert makespan([], [0.0, 2.0]) == 2.0
