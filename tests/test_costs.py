"""Timings of units: kept by what moves time, predicted by medians, worth nothing when damaged."""

from dataclasses import replace
from pathlib import Path

import pytest
from plans import ALONE, small_bench, small_plan, small_workload

from fpmc_bench.documents.protocols import PROTOCOLS
from fpmc_bench.engine import EngineSettings
from fpmc_bench.harness.cluster import islands
from fpmc_bench.harness.forecast.costs import Costs, Taken, Timings, unit_facts
from fpmc_bench.harness.ledger import Ledger
from fpmc_bench.harness.listening import Audience
from fpmc_bench.harness.progress import Progress
from fpmc_bench.harness.queue import longest_first
from fpmc_bench.harness.run_exchange import RunExchange
from fpmc_bench.harness.rundir import RunDirectory
from fpmc_bench.harness.stages import measuring
from fpmc_bench.harness.units import Workload, WorkUnit
from fpmc_bench.jobs.run import run_plan


@pytest.fixture
def unit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> WorkUnit:
    """The first of the optimal denoiser: three items."""
    monkeypatch.setenv("FPMC_BENCH_CACHE", str(tmp_path))
    return small_workload().rows("denoiser-mse")[3]


def here(budget_bytes: int = 2**30) -> Costs:
    return Costs.here(ALONE, EngineSettings(budget_bytes))


def noted(unit: WorkUnit) -> Costs:
    costs = here()
    for seconds, first in ((9.0, True), (3.0, False), (2.0, False), (2.5, False)):
        costs.note(unit_facts(unit), 3, seconds, first=first)
    costs.add(unit_facts(unit), Timings(grown_bytes=9))
    costs.add(unit_facts(unit), Timings(grown_bytes=5))
    return costs


def test_a_row_that_was_never_timed_is_not_known(unit: WorkUnit) -> None:
    assert here().seconds(unit) is None
    assert here().of(unit_facts(unit)) == Timings()


def test_what_was_noted_predicts_here_and_in_later_commands(unit: WorkUnit) -> None:
    costs = noted(unit)
    assert costs.seconds(unit) == 2.5
    assert here().seconds(unit) is None, "nothing is written before it is kept"
    costs.keep()
    for known in (costs, here()):
        timings = known.of(unit_facts(unit))
        assert known.seconds(unit) == 2.5
        assert timings.seconds(6) == 5.0
        assert timings.beginning(3) == 6.5
        assert timings.grown_bytes == 9


def test_the_first_unit_alone_is_better_than_nothing(unit: WorkUnit) -> None:
    costs = here()
    costs.note(unit_facts(unit), 3, 9.0, first=True)
    assert costs.seconds(unit) == 9.0
    assert costs.of(unit_facts(unit)).beginning(3) == 0


def test_a_guess_counts_until_a_unit_was_timed(unit: WorkUnit) -> None:
    costs, facts = here(), unit_facts(unit)
    guess = Taken(items=3, seconds=5.0), Taken(items=3, seconds=4.0)
    costs.add(facts, Timings(guessed=guess))
    costs.note(facts, 3, 9.0, first=True)
    known = costs.of(facts)
    assert (known.seconds(6), known.beginning(3), known.is_guess) == (8.0, 1.0, True)
    costs.note(facts, 3, 2.0)
    known = costs.of(facts)
    assert (known.seconds(3), known.beginning(3), known.is_guess) == (2.0, 7.0, False)


def test_a_short_unit_stays_with_the_others_of_its_row(unit: WorkUnit) -> None:
    costs, whole = noted(unit), small_workload().rows("denoiser-mse")[3:]
    assert [len(one.items) for one in whole] == [3, 3, 1]
    assert {costs.seconds(one) for one in whole} == {2.5}
    assert costs.of(unit_facts(unit)).seconds(1) == 2.5 / 3


def test_units_of_a_row_share_their_timings_and_other_rows_do_not(unit: WorkUnit) -> None:
    costs = noted(unit)
    costs.keep()
    again = small_workload(seed=4, items=9).rows("denoiser-mse")[3:6]
    assert [here().seconds(one) for one in again] == [2.5] * 3, "other items, other noise"
    others = small_workload().rows("sample-mse")
    assert {here().seconds(one) for one in others} == {None}
    assert here(2**20).seconds(unit) is None, "the engine works otherwise in less memory"
    slower = replace(costs, circumstances={**costs.circumstances, "threads": 64})
    assert slower.seconds(unit) is None


def test_old_timings_are_forgotten(unit: WorkUnit) -> None:
    noted(unit).keep()
    for _ in range(2):
        costs = here()
        for _ in range(6):
            costs.note(unit_facts(unit), 3, 1.0)
        costs.keep()
    (path,) = here().folder.glob("*.json")
    assert here().seconds(unit) == 1.0
    assert path.read_text().count('"seconds": 1.0') == 8


@pytest.mark.parametrize("content", [b"", b"{}x", b'{"later":[{"items":0,"seconds":1}]}', b"\xff"])
def test_a_damaged_file_is_nothing(unit: WorkUnit, content: bytes) -> None:
    noted(unit).keep()
    (path,) = here().folder.glob("*.json")
    path.write_bytes(content)
    assert here().seconds(unit) is None
    noted(unit).keep()
    assert here().seconds(unit) == 2.5


def test_a_folder_that_cannot_be_written_loses_timings_and_nothing_else(unit: WorkUnit) -> None:
    costs = noted(unit)
    costs.folder.rmdir()
    costs.folder.write_text("no folder")
    costs.keep()
    assert costs.seconds(unit) == 2.5


def test_a_run_notes_what_its_units_took(unit: WorkUnit, tmp_path: Path) -> None:
    """Two of three blocks a row in a process that had the row ready."""
    done = run_plan(small_plan(), RunDirectory(tmp_path / "run"), ALONE, progress=False)
    assert done.failures == {}
    workload = Workload(small_plan(), EngineSettings().arithmetic_on("cpu"))
    for units in (*map(workload.rows, PROTOCOLS), *map(workload.references, PROTOCOLS)):
        for one in units[::3]:
            known = here().of(unit_facts(one))
            assert (len(known.first), len(known.later)) == (1, 2)
            assert sorted(taken.items for taken in known.later) == [1, 3]


def test_the_longest_rows_are_handed_out_first(unit: WorkUnit) -> None:
    workload = small_workload()
    units = workload.rows("denoiser-mse")
    costs = noted(unit)
    bench = replace(small_bench(Ledger(here().folder), workload), costs=costs)
    exchange = RunExchange(ALONE, bench.ledger, islands.ALONE, islands.ALONE)

    def order() -> list[int]:
        references = workload.references("denoiser-mse")
        progress = Progress(ALONE)
        return longest_first(measuring(bench, units, references, exchange, progress, Audience()))

    assert order() == [0, 1, 2, 3, 4, 5], "what is not known comes first"
    costs.note(unit_facts(units[0]), 3, 1.0)
    assert order() == [3, 4, 5, 0, 1, 2]
