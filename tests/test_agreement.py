"""Ranks that see different folders, or would compute something else, refuse before any work."""

from pathlib import Path
from typing import Any

import pytest
from nodes import Node, ended, started
from plans import small_workload
from process_threads import errors_of
from runs import write_suite

from fpmc_bench.errors import RunError
from fpmc_bench.harness.cluster.agreement import entered_together, refuse_unlike, refused_together
from fpmc_bench.harness.cluster.processes import Processes
from fpmc_bench.harness.identity import facts_of_rows, shared_facts
from fpmc_bench.storage.folders import locked


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"seed": 4}, "suite.seed is 3 in process 0 and 4 in process 1"),
        ({"items": 6}, "suite.items is 7 in process 0 and 6 in process 1"),
        (
            {"entries": [{"name": "optimal", "denoiser": "wiener"}]},
            'suite.entries.0.denoiser is "optimal" in process 0 and "wiener" in process 1',
        ),
        ({"protocols": ["sample-mse"]}, "suite.protocols is "),
    ],
)
def test_other_suites_are_told_by_field(changes: dict[str, Any], said: str) -> None:
    plans = [small_workload(**own).plan for own in ({}, changes, changes)]
    told = errors_of(3, lambda mine: refuse_unlike(mine, shared_facts(plans[mine.rank])))
    assert all(one and said in one and "processes 1, 2 of 3 would" in one for one in told)
    assert errors_of(2, lambda mine: refuse_unlike(mine, shared_facts(plans[0]))) == [None] * 2


def test_another_version_of_a_plugin_is_told_by_row_and_field() -> None:
    workload = small_workload()
    facts = [facts_of_rows(workload) for _ in range(2)]
    mine = facts[1]["optimal.denoiser-mse"]
    edited = mine.model_copy(update={"plugin": mine.plugin.model_copy(update={"code": "edited"})})
    facts[1]["optimal.denoiser-mse"] = edited
    first, second = errors_of(2, lambda mine: refuse_unlike(mine, facts[mine.rank]))
    assert first == second
    assert first is not None
    assert "optimal.denoiser-mse.plugin.code is " in first
    assert '"edited" in process 1; give all' in first


def test_what_is_refused_to_one_is_refused_to_all(tmp_path: Path) -> None:
    """A folder that another run holds, on one of three machines."""

    def work(one: Processes) -> None:
        with entered_together(one, locked(tmp_path / str(one.rank), "run", "--run-dir")):
            with refused_together(one):
                if one.rank == 2:
                    raise RunError("the second")
            raise AssertionError("somebody went on")

    with locked(tmp_path / "1", "run", "--run-dir"):
        said = errors_of(3, work)
    assert (
        said[1]
        == f"{tmp_path / '1'} is in use by another run; wait for it, or choose another --run-dir"
    )
    assert said[0] == said[2] == f"process 1: {said[1]}"
    assert errors_of(3, work) == ["process 2: the second"] * 2 + ["the second"]


def test_two_nodes_that_disagree_both_end_with_the_reason(tmp_path: Path) -> None:
    suite = write_suite(tmp_path)
    commands = (("run", suite, "--run-dir", "run", "--seed", seed) for seed in "34")
    for status, out, err in ended(started(*(Node(tmp_path, command) for command in commands))):
        assert (status, out) == (1, "")
        assert len(err.splitlines()) == 1, err
        assert err.startswith("fpmc-bench: ")
        assert "suite.seed is 3 in process 0 and 4 in process 1" in err
    assert not list(tmp_path.rglob("*.npz")), "nothing was computed"
    assert not list(tmp_path.rglob("run.json"))
