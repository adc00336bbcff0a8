"""How long the rest of a job takes, by what its finished tasks took."""

from collections.abc import Iterable, Sequence
from heapq import heapify, heapreplace


def remaining_seconds(lacking: Iterable[tuple[float, int]], busy: Sequence[float]) -> float:
    """Seconds until all processes are done, where whoever is free takes the longest task left.

    `lacking`: (seconds of each, how many) tasks that nobody has begun. `busy`: for each process the
    seconds until it is free, none below 0.
    """
    free = list(busy)
    heapify(free)
    for seconds, count in sorted(lacking, reverse=True):
        for _ in range(count):
            heapreplace(free, free[0] + seconds)
    return max(free)
