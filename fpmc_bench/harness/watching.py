"""Whoever listens to all processes: shows on stderr how far they are, and keeps it in a file.

A thread of the main process. It decides nothing, and a job goes on where it can't write.
"""

import json
import logging
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from fpmc_bench.documents.status import STATUS, Status
from fpmc_bench.harness.news import News
from fpmc_bench.harness.tally import Tally
from fpmc_bench.results.render.status import counts_text, head_line, table_lines
from fpmc_bench.storage.temporary import temporary_path
from fpmc_bench.telling.bars import Bar
from fpmc_bench.telling.lines import tell, users_stderr
from fpmc_bench.telling.live import AboveLive

TICK_SECONDS = 0.5
"""Between two times of listening."""
WRITE_SECONDS = 3
"""Between two files, unless a stage begins or ends."""

log = logging.getLogger(__name__)


@dataclass
class Watch:
    """Over a job: its tally by its news, shown where that is wanted, written where it has a folder.

    On a terminal a bar, or a table of rows where stderr is made for that (`live_stderr`); elsewhere
    lines.
    """

    news: News
    tally: Tally
    visible: bool
    folder: Path | None
    _bar: Bar | None = field(default=None, init=False)
    _written: float = field(default=float("-inf"), init=False)
    _told: bool = field(default=False, init=False)
    """That the file can't be written."""
    _lock: threading.RLock = field(default_factory=threading.RLock, init=False)
    _over: threading.Event = field(default_factory=threading.Event, init=False)
    _thread: threading.Thread | None = field(default=None, init=False)

    def begin(self) -> None:
        """Listen from now on."""
        tally = self.tally
        self._say("started", work=tally.work, name=tally.name, command=tally.command,
                  folder=self.folder and str(self.folder), processes=tally.processes,
                  rows=len(tally.rows))  # fmt: skip
        self._thread = threading.Thread(target=self._listen, name="progress", daemon=True)
        self._thread.start()

    def end(self) -> None:
        """The job is over, and this is the last that is said of it, in whatever thread.

        It has been stopped, unless its tally knows better.
        """
        self._over.set()
        if self._thread is not None:
            self._thread.join()
        with self._lock:
            self._hear()
            if self.tally.state == "running":
                self.tally.state, self.tally.ended_by = "stopped", "a signal"
            self.tally.running.clear()
            self._close_bar()
            status = self._show_and_write(now=True)
            self._say("ended", state=status.state, ended_by=status.ended_by,
                      seconds=status.seconds,
                      failed_rows=[row.name for row in status.failed])  # fmt: skip

    def began_stage(
        self, name: str, unit: str, total: int, lacking: Sequence[tuple[str, float | None]]
    ) -> None:
        """As `Tally.began_stage`."""
        with self._lock:
            self.tally.began_stage(name, unit, total, lacking)
            done = total - len(lacking)
            self._say("stage_began", stage=name, unit=unit, done=done, total=total)
            if self.visible and lacking and not isinstance(users_stderr(), AboveLive):
                self._bar = Bar(name, total, unit, done=done, even=False)
            self._show_and_write(now=True)

    def ended_stage(self) -> None:
        """As `Tally.ended_stage`; everything that was told in it has been sent."""
        with self._lock:
            self._hear()
            self.tally.ended_stage()
            stage = self.tally.stages[-1]
            self._close_bar()
            self._say("stage_ended", stage=stage.name, done=stage.done, total=stage.total)
            self._show_and_write(now=True)

    def _listen(self) -> None:
        while not self._over.wait(TICK_SECONDS):
            with self._lock:
                self._hear()
                self._show_and_write(now=False)

    def _hear(self) -> None:
        """All that processes have told since the last time."""
        for rank, (event, *what) in self.news.receive():
            match event:
                case "began":
                    self.tally.began(rank, *what)
                case "says":
                    self.tally.says(rank, *what)
                case "finished":
                    self._finished(rank, *what)
                case "failed" if self.tally.failed(*what):
                    self._say("row_failed", row=what[0], reason=what[1])

    def _finished(self, rank: int, seconds: float | None) -> None:
        task = self.tally.finished(rank, seconds)
        if task is not None and seconds is not None:
            stage = self.tally.stages[-1]
            self._say("task_finished", stage=stage.name, what=task.what, items=task.items,
                      seconds=seconds, worker={"host": task.host, "process": rank},
                      done=stage.done, total=stage.total)  # fmt: skip

    def _show_and_write(self, *, now: bool) -> Status:
        status = self.tally.status()
        if self._bar is not None:
            self._note(self._bar, status)
            self._bar.refresh()
        stream = users_stderr()
        if self.visible and isinstance(stream, AboveLive):
            head = head_line(status, ended=status.state != "running")
            stream.live.draw([head, *table_lines(status, datetime.now(UTC))])
        if now or time.monotonic() - self._written >= WRITE_SECONDS:
            self._write(status)
        return status

    def _note(self, bar: Bar, status: Status, *, ended: bool = False) -> None:
        bar.advance(self.tally.stages[-1].done - bar.done)
        bar.note(
            counts_text(status, left=not ended),
            failed_rows=len(status.failed),
            processes=status.processes,
            remaining_seconds=status.remaining_seconds,
            untimed_rows=status.untimed,
            running=[one.model_dump(mode="json") for one in status.running],
        )

    def _close_bar(self) -> None:
        if self._bar is not None:
            self._note(self._bar, self.tally.status(), ended=True)
            self._bar.close()
            self._bar = None

    def _write(self, status: Status) -> None:
        """Whole or not at all; not flushed to the disk, for only what runs has a status."""
        self._written = time.monotonic()
        if self.folder is None:
            return
        path = self.folder / STATUS
        partial = temporary_path(path)
        try:
            text = json.dumps(status.model_dump(mode="json"), ensure_ascii=False)
            partial.write_text(f"{text}\n", "utf-8", "replace")  # a path may be no text at all
            partial.replace(path)
        except OSError as error:
            partial.unlink(missing_ok=True)
            if not self._told:
                log.warning("%s can't be written (%s): 'fpmc-bench status' will not know how far "
                            "this is", path, error.strerror or error)  # fmt: skip
            self._told = True

    def _say(self, event: str, **fields: object) -> None:
        """For programs alone."""
        if self.visible:
            tell("", event, **fields)
