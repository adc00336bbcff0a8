"""The queue: tasks of a stage, each done by one process, whichever is free when its turn comes.

Every process has the same list and takes the next place of it from a counter that all share, so a
process that is fast, or has the machine for itself, does more. What only some processes could know
(which tasks are done already, how long the others will take) the main process says once a stage.
"""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from fpmc_bench.harness.cluster.processes import Processes
from fpmc_bench.harness.progress import Progress


@dataclass(frozen=True, eq=False)
class Task:
    """What one process does at a time: a unit, a sensitivity map, a block of test images.

    `do` may raise, which ends the stage in this process; what is only one row's fault it keeps to
    itself. `seconds` are predicted; None where nothing is known.
    """

    name: str
    """Told to whoever watches."""
    there: Callable[[], bool]
    """Whether nothing is left to do; asked in the main process alone, at a stage's begin."""
    do: Callable[[], Any]
    seconds: float | None = None
    told: Callable[[Any], None] = lambda _: None
    """Called with what `do` gave, once that counts as finished."""
    items: range | None = None
    """Which of those that tasks of this name share."""


def carry_out(
    stage: str,
    tasks: Sequence[Task],
    processes: Processes,
    progress: Progress,
    bring: Callable[[], None] = lambda: None,
    unit: str = "task",
    *,
    together: bool = False,
) -> None:
    """Do all tasks that are not there yet, by all processes, which call this alike; then meet.

    `bring` sends what tasks make to where it is lacking: before they are looked for, and after.
    `unit` is what one of them is called. `together`: every process does all of them, for each is
    work for all.
    """
    bring()
    lacking = [tasks[index] for index in agreed_order(tasks, processes)]
    told = [(task.name, task.seconds) for task in lacking]
    with progress.stage(stage, len(tasks), told, unit):
        work(stage, lacking, processes, progress, together=together)
        processes.wait()
    bring()


def agreed_order(tasks: Sequence[Task], processes: Processes) -> list[int]:
    """Indices of the tasks that are to be done, as the main process finds them, in their order."""
    mine = longest_first(tasks) if processes.is_main else []
    order: list[int] = json.loads(processes.gather(json.dumps(mine))[0])
    return order


def longest_first(tasks: Sequence[Task]) -> list[int]:
    """Indices of the tasks that are not there, longest first, so that all processes end together.

    Those of which nothing is known come before all others, in their own order.
    """
    lacking = [index for index, task in enumerate(tasks) if not task.there()]

    def shortness(index: int) -> float:
        seconds = tasks[index].seconds
        return float("-inf") if seconds is None else -seconds

    return sorted(lacking, key=shortness)


def work(
    stage: str,
    tasks: Sequence[Task],
    processes: Processes,
    progress: Progress,
    *,
    together: bool = False,
) -> None:
    """This process's part of the tasks; `together`, all of them, which the main one counts."""
    for place in range(len(tasks)) if together else processes.take(stage, len(tasks)):
        progress.began(tasks[place].name, tasks[place].items)
        outcome = tasks[place].do()
        if processes.is_main or not together:
            progress.finished()
        tasks[place].told(outcome)
