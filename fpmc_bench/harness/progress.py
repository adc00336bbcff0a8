"""What processes tell of their work, and what is shown of it: one bar for all of them."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from tqdm.auto import tqdm

from fpmc_bench.harness.processes import Processes


@dataclass
class Progress:
    """Of one process; the main one has the bar, unless it is not `visible`."""

    processes: Processes
    visible: bool = False
    done: int = 0
    """Tasks of the present stage that are finished, by all processes together."""
    total: int = 0
    _stage: str = ""
    _stages: int = 0
    _bar: "tqdm[Any] | None" = field(default=None, repr=False)

    @contextmanager
    def stage(self, name: str, total: int, done: int = 0) -> Iterator[None]:
        """Around a stage of `total` tasks, of which so many were done before; all enter alike."""
        self._stages += 1
        self._stage, self.total, self.done = f"finished/{self._stages}", total, done
        self._before = done
        hidden = not (self.visible and self.processes.is_main)
        with tqdm(total=total, desc=name, unit="task", disable=hidden, leave=False) as bar:
            bar.update(done)
            self._bar = bar
            yield
            self._bar = None

    def began(self, what: str) -> None:
        """Tell what this process is at."""

    def says(self, how: str) -> None:
        """Tell how far that is."""
        if self._bar is not None:
            self._bar.set_description(how)

    def finished(self) -> None:
        """Tell that it is done."""
        self.done = self._before + self.processes.count(self._stage, 1)
        if self._bar is not None:
            self._bar.update(self.done - self._bar.n)
