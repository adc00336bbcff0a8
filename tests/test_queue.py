"""The queue: every task once, by whoever is free, the longest first; what is there is left."""

import threading
import time
from collections.abc import Iterator
from itertools import pairwise

import pytest
import torch.distributed
from hypothesis import given
from hypothesis import strategies as st

from fpmc_bench.harness.cluster.processes import Processes
from fpmc_bench.harness.progress import Progress
from fpmc_bench.harness.queue import Task, carry_out, longest_first, work


def several(world: int) -> list[Processes]:
    """Processes that share a store, as threads of this one."""
    store = torch.distributed.HashStore()
    return [Processes(rank, world, "cpu", store) for rank in range(world)]


@pytest.mark.parametrize("world", [1, 2, 5])
@pytest.mark.parametrize("count", [0, 1, 7])
def test_every_index_is_taken_once(world: int, count: int) -> None:
    takes = [one.take("rows", count) for one in several(world)]
    taken: list[list[int]] = [[] for _ in takes]
    turns = [place for place in range(world) for _ in range(count + 1)]
    for turn in turns[::2] + turns[1::2]:
        taken[turn].extend([index for index in [next(takes[turn], None)] if index is not None])
    assert sorted(index for own in taken for index in own) == list(range(count))
    assert all(own == sorted(own) for own in taken)


def test_a_name_that_is_used_again_is_another_queue() -> None:
    first, second = several(2)
    assert list(first.take("rows", 3)) == [0, 1, 2]
    assert list(second.take("rows", 3)) == [], "nothing is left"
    assert list(second.take("rows", 2)) == [0, 1]
    assert list(first.take("rows", 2)) == []
    assert list(first.take("maps", 1)) == [0]


def test_a_slow_process_does_less() -> None:
    """Of 40 tasks, by a process that takes four times as long as the other: about 8."""
    done: list[list[int]] = [[], []]

    def do(own: list[int], index: int, seconds: float) -> None:
        time.sleep(seconds)
        own.append(index)

    def at_work(processes: Processes, own: list[int], seconds: float) -> None:
        tasks = [
            Task(str(index), lambda: False, lambda index=index: do(own, index, seconds))  # type: ignore[misc]
            for index in range(40)
        ]
        progress = Progress(processes)
        with progress.stage("rows", len(tasks), [(task.name, None) for task in tasks]):
            work("rows", tasks, processes, progress)

    workers = [
        threading.Thread(target=at_work, args=(one, own, seconds))
        for one, own, seconds in zip(several(2), done, (0.005, 0.02), strict=True)
    ]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert sorted(done[0] + done[1]) == list(range(40))
    assert 2 <= len(done[1]) <= 14


@given(st.lists(st.tuples(st.booleans(), st.none() | st.floats(0, 1e9)), max_size=20))
def test_the_longest_come_first_after_those_nobody_knows(
    tasks: list[tuple[bool, float | None]],
) -> None:
    made = [Task("", lambda there=there: there, _nothing, one) for there, one in tasks]  # type: ignore[misc]
    order = longest_first(made)
    assert sorted(order) == [index for index, (there, _) in enumerate(tasks) if not there]
    keys = [(one is not None, -(one or 0)) for one in (tasks[index][1] for index in order)]
    assert keys == sorted(keys)
    for a, b in pairwise(order):
        assert tasks[a][1] != tasks[b][1] or a < b, "equal ones stay in their order"


def test_a_stage_does_what_is_lacking_and_counts_the_rest() -> None:
    done: list[str] = []
    progress = Progress(several(1)[0])
    counts: list[tuple[int, int]] = []

    def task(name: str, there: bool) -> Task:
        def told(outcome: object) -> None:
            assert outcome is None
            counts.append((progress.done, progress.total))

        return Task(name, lambda: there, lambda: done.append(name), told=told)

    tasks = [task("a", True), task("b", False), task("c", False)]
    for expected in (["b", "c"], ["b", "c"] * 2):
        carry_out("rows", tasks, progress.processes, progress)
        assert done == expected
    assert counts == [(2, 3), (3, 3)] * 2


def test_what_raises_ends_the_stage() -> None:
    def fails() -> None:
        raise RuntimeError("no network")

    progress = Progress(several(1)[0])
    tasks = [Task("a", lambda: False, fails), Task("b", lambda: False, _nothing)]
    with pytest.raises(RuntimeError, match="no network"):
        carry_out("references", tasks, progress.processes, progress)


def _nothing() -> Iterator[None]:
    raise AssertionError("only its order was asked for")
