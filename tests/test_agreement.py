"""Ranks that see different folders, or would compute something else, refuse before any work."""

import socket
import subprocess
import sys
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from plans import small_workload
from runs import environment, write_suite

from fpmc_bench.errors import RunError
from fpmc_bench.harness import agreement
from fpmc_bench.harness.agreement import refuse_unlike, refuse_unshared
from fpmc_bench.harness.identity import facts_of_rows, shared_facts
from fpmc_bench.harness.processes import Processes


@dataclass(frozen=True)
class Threads(Processes):
    """Processes that are threads, and meet in one."""

    barrier: threading.Barrier = field(kw_only=True)
    said: dict[int, str] = field(kw_only=True)

    def wait(self) -> None:
        """As every process does."""
        self.barrier.wait(30)

    def gather(self, text: str) -> list[str]:
        """By rank."""
        self.said[self.rank] = text
        self.wait()
        found = [self.said[rank] for rank in range(self.world)]
        self.wait()
        return found


def errors_of(world: int, work: Callable[[Processes], None]) -> list[str | None]:
    """What each of so many processes is refused with."""
    barrier, said = threading.Barrier(world), dict[int, str]()

    def one(rank: int) -> str | None:
        try:
            work(Threads(rank, world, "cpu", barrier=barrier, said=said))
        except RunError as error:
            return str(error)
        return None

    with ThreadPoolExecutor(world) as pool:
        return list(pool.map(one, range(world)))


def test_one_folder_of_all_is_shared_and_left_as_it_was(tmp_path: Path) -> None:
    assert errors_of(3, lambda mine: refuse_unshared(mine, tmp_path)) == [None] * 3
    assert list(tmp_path.iterdir()) == []


def test_folders_of_their_own_are_refused_on_every_rank(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(agreement, "APPEARS_SECONDS", 0.2)
    folders = [tmp_path / name for name in ("a", "a", "b")]
    said = errors_of(3, lambda mine: refuse_unshared(mine, folders[mine.rank]))
    assert all(one and "of process 0 is not the folder that process 2 of 3" in one for one in said)
    assert not list(folders[0].iterdir())


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


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


def nodes(*commands: tuple[Path, tuple[str | Path, ...]]) -> list["subprocess.Popen[str]"]:
    """One process a node, as a launcher on each starts it: from a folder, with arguments."""
    meeting = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(free_port())}
    return [
        subprocess.Popen(
            [sys.executable, "-m", "fpmc_bench", "run", *map(str, arguments)],
            cwd=folder,
            env={
                **environment(),
                **meeting,
                "RANK": str(rank),
                "WORLD_SIZE": str(len(commands)),
                "LOCAL_RANK": "0",
                "LOCAL_WORLD_SIZE": "1",
            },
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for rank, (folder, arguments) in enumerate(commands)
    ]


def test_two_nodes_that_disagree_both_end_with_the_reason(tmp_path: Path) -> None:
    """Both ways at once, for the second of two waits a while before it speaks."""
    suite = write_suite(tmp_path)
    homes = [tmp_path / name for name in ("a", "b")]
    for home in homes:
        home.mkdir()
    apart = nodes(*((home, (suite, "--run-dir", "run")) for home in homes))
    other = nodes(*((tmp_path, (suite, "--run-dir", "run", "--seed", seed)) for seed in "34"))
    for processes, reason in (
        (apart, "/a/run of process 0 is not the folder that process 1 of 2 found there"),
        (other, "suite.seed is 3 in process 0 and 4 in process 1"),
    ):
        ends = [(*one.communicate(timeout=120), one.returncode) for one in processes]
        assert [status for _, _, status in ends] == [1, 1]
        for out, err, _ in ends:
            assert out == ""
            assert len(err.splitlines()) == 1, err
            assert err.startswith("fpmc-bench: ")
        assert reason in ends[0][1]
    assert not list(tmp_path.rglob("*.npz")), "nothing was computed"
    assert not list(tmp_path.rglob("run.json"))
