"""What the main process knows of a job: its stages and rows, who is at what, and how long is left.

Made of what processes tell, and of nothing that is looked for on a disk.
"""

import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

from fpmc_bench.documents.status import RowStatus, StageStatus, State, Status, Working
from fpmc_bench.harness.forecast.makespan import Alike, makespan

ROWS = "rows"
"""The stage whose tasks are units of rows."""


@dataclass
class Kind:
    """Tasks of one name: the units of a row, say."""

    total: int
    done: int = 0
    failed: str | None = None
    predicted: float | None = None
    """Seconds of each, before any was finished."""
    timed: int = 0
    seconds: float = 0.0
    """Of those that were timed, together."""

    @property
    def mean(self) -> float | None:
        """Seconds of a task, measured or else predicted."""
        return self.seconds / self.timed if self.timed else self.predicted


@dataclass
class Stage:
    """`kinds` by name, with those that were done before it began counted in `total`."""

    name: str
    unit: str
    total: int
    done: int
    kinds: dict[str, Kind]
    ended: bool = False


@dataclass
class Tally:
    """Of one job; `clock` gives seconds that only grow, `now` the time of day."""

    work: str
    name: str
    command: str
    processes: int
    clock: Callable[[], float] = time.monotonic
    now: Callable[[], datetime] = lambda: datetime.now(UTC)
    stages: list[Stage] = field(default_factory=list)
    rows: dict[str, Kind] = field(default_factory=dict)
    running: dict[int, Working] = field(default_factory=dict)
    state: State = "running"
    ended_by: str = ""
    _since: dict[int, float] = field(default_factory=dict)
    """By process, when its present task was heard of."""

    def __post_init__(self) -> None:
        """It begins now."""
        self._started, self._started_utc = self.clock(), self.now()

    def expect(
        self,
        rows: Mapping[str, int],
        lacking: Mapping[str, int],
        predicted: Mapping[str, float | None],
    ) -> None:
        """Rows with their units, how many of these are lacking at most, and the seconds of each."""
        for name, total in rows.items():
            done = total - lacking.get(name, 0)
            self.rows[name] = Kind(total, done, predicted=predicted.get(name))

    def began_stage(
        self, name: str, unit: str, total: int, lacking: Sequence[tuple[str, float | None]]
    ) -> None:
        """A stage of so many tasks, of which these are lacking: names, and predicted seconds."""
        counts, predicted = Counter(one for one, _ in lacking), dict(lacking)
        stage = Stage(name, unit, total, total - len(lacking), {})
        if name == ROWS:
            for row in self.rows.values():
                row.done = row.total if row.failed is None else row.done  # but for those below
        for one, count in counts.items():
            kind = self.rows.get(one) or Kind(count)
            kind.done = kind.total - count
            kind.predicted = predicted[one] if kind.predicted is None else kind.predicted
            stage.kinds[one] = kind
        self.stages.append(stage)

    def ended_stage(self) -> None:
        """Processes have met at its end."""
        self.stages[-1].ended = True

    def began(
        self, rank: int, host: str, what: str, items: Sequence[int] | None, since: float
    ) -> None:
        """A process is at a task, since a time of day in seconds."""
        self._since[rank] = self.clock()
        self.running[rank] = Working(
            host=host,
            process=rank,
            what=what,
            items=(items[0], items[1]) if items else None,
            since_utc=datetime.fromtimestamp(since, UTC).replace(microsecond=0),
        )

    def says(self, rank: int, how: str) -> None:
        """How far a process is with its task."""
        if rank in self.running:
            self.running[rank] = self.running[rank].model_copy(update={"says": how})

    def finished(self, rank: int, seconds: float | None) -> Working | None:
        """A process is done with its task, which is returned; no seconds where its row failed."""
        task = self.running.pop(rank, None)
        if task is None or not self.stages:
            return None
        stage = self.stages[-1]
        stage.done = min(stage.done + 1, stage.total)
        kind = stage.kinds.get(task.what)
        if kind is not None and seconds is not None:
            kind.done = min(kind.done + 1, kind.total)
            kind.timed, kind.seconds = kind.timed + 1, kind.seconds + seconds
        return task

    def failed(self, row: str, reason: str) -> bool:
        """A row has failed; whether that is new."""
        kind = self.rows.setdefault(row, Kind(0))
        new = kind.failed is None
        kind.failed = reason
        return new

    def status(self) -> Status:
        """All of it, as it is now."""
        left, untimed = self._remaining() if self.state == "running" else (None, 0)
        return Status(
            work=self.work,
            name=self.name,
            command=self.command,
            processes=self.processes,
            state=self.state,
            ended_by=self.ended_by,
            started_utc=self._started_utc.replace(microsecond=0),
            updated_utc=self.now().replace(microsecond=0),
            seconds=round(max(0.0, self.clock() - self._started), 1),
            remaining_seconds=None if left is None else round(left, 1),
            untimed=untimed,
            stages=tuple(
                StageStatus(
                    name=one.name, unit=one.unit, done=one.done, total=one.total, ended=one.ended
                )
                for one in self.stages
            ),
            rows=tuple(
                RowStatus(
                    name=name,
                    done=row.done,
                    total=row.total,
                    failed=row.failed,
                    seconds=None if row.mean is None else round(row.mean, 4),
                )
                for name, row in self.rows.items()
            ),
            running=tuple(self.running[rank] for rank in sorted(self.running)),
        )

    def _remaining(self) -> tuple[float | None, int]:
        """Seconds, None where nothing is known; and the rows of which nothing is known, left out.

        What has no row, as a noise level, is taken to be like others of its stage. Of what is under
        way as much is left as its kind takes on average beyond what has passed.
        """
        present = self.stages[-1].kinds if self.stages and not self.stages[-1].ended else {}
        kinds = {**self.rows, **present}
        begun = Counter(one.what for one in self.running.values())
        left = {
            name: max(0, kind.total - kind.done - begun[name])
            for name, kind in kinds.items()
            if kind.failed is None
        }
        known = {name: mean for name, kind in kinds.items() if (mean := kind.mean) is not None}
        others = [kind for name, kind in present.items() if name not in self.rows]
        if timed := sum(kind.timed for kind in others):
            usual = sum(kind.seconds for kind in others) / timed
            known = {name: usual for name in present if name not in self.rows} | known
        if not known and (any(left.values()) or self.running):
            return None, 0
        busy = [0.0] * self.processes
        for rank, task in self.running.items():
            passed = self.clock() - self._since[rank]
            busy[rank] = max(0.0, known.get(task.what, 0.0) - passed)
        lacking = [Alike(known[name], count) for name, count in left.items() if name in known]
        untimed = sum(1 for name in self.rows if left.get(name) and name not in known)
        return makespan(lacking, busy), untimed
