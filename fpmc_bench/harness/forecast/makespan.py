"""How long a queue takes until its last task is done: the makespan of longest-first scheduling.

As `harness/queue.py` hands tasks out. It is at most 4/3 of the best there is (R. L. Graham, Bounds
on multiprocessing timing anomalies, 1969), but for what processes take to begin.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from heapq import heapify, heapreplace


@dataclass(frozen=True)
class Alike:
    """`count` tasks of `seconds` each, and what a process takes before its first of them."""

    seconds: float
    count: int
    beginning: float = 0.0


def makespan(tasks: Iterable[Alike], busy: Sequence[float]) -> float:
    """Seconds until all processes are done, where whoever is free takes the longest task left.

    `busy`: for each process the seconds until it is free, none below 0.
    """
    free = list(busy)
    for alike in sorted(tasks, key=lambda one: one.seconds, reverse=True):
        if alike.seconds or alike.beginning:
            free = _after(alike, free)
    return max(free)


def _after(alike: Alike, free: Sequence[float]) -> list[float]:
    """When each process is free again; in time that depends on how many these are, not the tasks.

    Once nobody is ahead of another by more than a task each takes one in turn.
    """
    heap = [(when, process) for process, when in enumerate(free)]
    heapify(heap)
    begun: set[int] = set()
    latest, left = max(free), alike.count

    def take() -> None:
        nonlocal latest
        when, process = heap[0]
        when += alike.seconds + (0.0 if process in begun else alike.beginning)
        begun.add(process)
        latest = max(latest, when)
        heapreplace(heap, (when, process))

    while left and (len(begun) < len(heap) or latest - heap[0][0] > alike.seconds):
        take()
        left -= 1
    turns, rest = divmod(left, len(heap))
    heap = [(when + turns * alike.seconds, process) for when, process in heap]
    for _ in range(rest):
        take()
    return [when for when, _ in heap]
