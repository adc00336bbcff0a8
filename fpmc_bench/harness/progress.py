"""What a process tells of its work to the main one, which watches all of them."""

import itertools
import shlex
import socket
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Self

from fpmc_bench.documents.text import one_line
from fpmc_bench.harness.cluster.processes import Processes
from fpmc_bench.harness.environment import is_own_program
from fpmc_bench.harness.news import News
from fpmc_bench.harness.tally import Tally
from fpmc_bench.harness.watching import Watch
from fpmc_bench.interruptions import Stopped, at_any_end

LONGEST_REASON = 200


@dataclass
class Progress:
    """Of one process about one job: entered for all of its time, and made alike by all processes.

    `work` is what the job does, as "run", and `name` to what; no other job of these processes has
    both. The main process shows how far it is, unless it is not `visible`, and writes that into
    `folder`, where there is one.
    """

    processes: Processes
    visible: bool = False
    work: str = "work"
    name: str = ""
    folder: Path | None = None
    done: int = field(default=0, init=False)
    """Tasks of the present stage that are finished, by all processes together."""
    total: int = field(default=0, init=False)
    _watch: Watch | None = field(default=None, init=False, repr=False)
    _ending: ExitStack = field(default_factory=ExitStack, init=False, repr=False)
    _stages: Iterator[int] = field(default_factory=itertools.count, init=False, repr=False)
    _before: int = field(default=0, init=False, repr=False)
    _since: float = field(default=0.0, init=False, repr=False)
    _dropped: bool = field(default=False, init=False, repr=False)

    def __post_init__(self) -> None:
        """Under a name that no other job of these processes has."""
        self._job = f"{self.work}/{self.name}"
        self._stage = ""
        self._news = News(self.processes, f"news/{self._job}")
        if self.processes.is_main:
            tally = Tally(self.work, self.name, given_command(), self.processes.world)
            self._watch = Watch(self._news, tally, self.visible, self.folder)

    def __enter__(self) -> Self:
        if self._watch is not None:
            self._watch.begin()
            self._ending.enter_context(at_any_end(self._watch.end))
        return self

    def __exit__(
        self,
        _kind: type[BaseException] | None,
        error: BaseException | None,
        _: TracebackType | None,
    ) -> None:
        if self._watch is not None:
            self._watch.tally.state = "stopped" if error else "finished"
            self._watch.tally.ended_by = _reason(error) if error else ""
        self._ending.close()

    def expect(
        self,
        rows: Mapping[str, int],
        lacking: Mapping[str, int],
        predicted: Mapping[str, float | None],
    ) -> None:
        """As `Tally.expect`, before it is entered."""
        if self._watch is not None:
            self._watch.tally.expect(rows, lacking, predicted)

    @contextmanager
    def stage(
        self,
        name: str,
        total: int,
        lacking: Sequence[tuple[str, float | None]],
        unit: str = "task",
    ) -> Iterator[None]:
        """Around a stage of `total` tasks, of which those are `lacking`; all enter alike.

        By their names, which may be equal, with the seconds that are predicted.
        """
        self._stage = f"finished/{self._job}/{next(self._stages)}"
        self.total, self.done = total, total - len(lacking)
        self._before = self.done
        if self._watch is not None:
            self._watch.began_stage(name, unit, total, lacking)
        yield
        if self._watch is not None:
            self._watch.ended_stage()

    def began(self, what: str, items: range | None = None) -> None:
        """Tell what this process is at: a task by its name, of these items."""
        self._since, self._dropped = time.perf_counter(), False
        block = items and [items.start, items.stop]
        self._news.send("began", socket.gethostname(), what, block, time.time())

    def says(self, how: str) -> None:
        """Tell how far that is."""
        self._news.send("says", how)

    def failed(self, row: str, reason: str) -> None:
        """Tell that a row has failed, and why."""
        self._news.send("failed", row, reason)

    def dropped(self) -> None:
        """Tell that the present task is not computed, for its row has failed."""
        self._dropped = True

    def finished(self) -> None:
        """Tell that the present task is done, one way or the other."""
        self.done = self._before + self.processes.count(self._stage, 1)
        seconds = round(time.perf_counter() - self._since, 4)
        self._news.send("finished", None if self._dropped else seconds)


def given_command() -> str:
    """The command as it may be given again, with all places, for the same user on the same machine.

    Without --fresh, which would discard what there is. Empty for another program than ours, and
    where arguments are no text that a terminal shows, as names of other encodings.
    """
    program, *arguments = sys.argv
    if not is_own_program(program):
        return ""
    command = shlex.join(["fpmc-bench", *(one for one in arguments if one != "--fresh")])
    return command if command.isprintable() else ""


def _reason(error: BaseException) -> str:
    """In a line: the signal, or its own words, or its kind where it has none."""
    if isinstance(error, Stopped):
        return error.signal.name
    said = one_line(" ".join(str(error).split())) or type(error).__name__
    return said if len(said) <= LONGEST_REASON else f"{said[: LONGEST_REASON - 3]}..."
