"""A forecast as a line, and refusing before any work what can't fit memory or disk."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from fpmc_bench.engine import EngineSettings
from fpmc_bench.errors import RunError
from fpmc_bench.harness.cluster.processes import Processes
from fpmc_bench.harness.forecast.costs import Costs
from fpmc_bench.harness.forecast.parts import Part, wall_seconds
from fpmc_bench.harness.forecast.room import free_memory, refuse_full_disk, sized
from fpmc_bench.storage.cache import cache_directory
from fpmc_bench.telling.times import span

START: Mapping[str, str] = {"kind": "start"}
"""What a start's timing is known by: imports, images and networks, and all checks."""


@dataclass(frozen=True)
class Outlook:
    """What `processes`, of which `local` are on this machine, are going to take for these parts.

    `around_seconds`: to start, and to draw what was found, beside the parts' own. `held_bytes`: of
    memory, that a process holds before its first unit; None where that is not of interest any more,
    for all are there and hold it.
    """

    parts: tuple[Part, ...]
    processes: int
    local: int
    budget_bytes: int
    around_seconds: float = 0.0
    held_bytes: int | None = None
    together: bool = False
    """Whether all processes compute every unit of a row, each with a part of the source."""
    on_gpu: bool = False
    """Where memory grows is then a GPU's, which the engine does with less of."""

    @property
    def seconds(self) -> float:
        """Until all is there; what was never timed counts nothing."""
        return self.around_seconds + wall_seconds(
            self.parts, self.processes, together=self.together
        )

    @property
    def left(self) -> tuple[Part, ...]:
        """Parts that lack anything."""
        return tuple(part for part in self.parts if part.lacking)

    @property
    def untimed(self) -> int:
        """Parts of which nothing is known but that they lack units."""
        return sum(part.is_unknown for part in self.parts)

    @property
    def grown_bytes(self) -> int | None:
        """The most that a process's memory was seen to grow in a part; None: none was looked at."""
        known = [one for part in self.left if (one := part.timings.grown_bytes) is not None]
        return max(known, default=None)

    @property
    def memory_bytes(self) -> int | None:
        """Of a process, with what it holds before; None as `grown_bytes`."""
        return None if self.grown_bytes is None else self.grown_bytes + (self.held_bytes or 0)

    @property
    def run_bytes(self) -> int:
        return sum(part.run_bytes for part in self.parts)

    @property
    def cache_bytes(self) -> int:
        return sum(part.cache_bytes for part in self.parts)

    @property
    def line(self) -> str:
        """All of it for a reader; what was never timed is said, and what was guessed."""
        if not self.left:
            return "nothing is left to compute"
        said = [f"{self._time()} in {_counted(self.processes, 'process')}"]
        if self.memory_bytes is not None:
            beside = "" if self.held_bytes else " beside what it holds now"
            said.append(f"up to {sized(self.memory_bytes)} of memory each{beside}")
        disk = f"{sized(self.run_bytes)} of disk"
        if self.cache_bytes:
            disk += f" and {sized(self.cache_bytes)} of the cache's"
        return "; ".join([*said, disk])

    def _time(self) -> str:
        timed = [part for part in self.left if not part.is_unknown]
        guessed = sum(part.timings.is_guess for part in timed)
        notes = []
        if guessed:
            notes.append(f"{guessed} of {_counted(len(self.left), 'part')} extrapolated")
        if self.untimed:
            notes.append(f"{_counted(self.untimed, 'part')} never timed")
        notes_said = f" ({', '.join(notes)})" if notes else ""
        if not timed:
            return f"time unknown{notes_said}"
        return f"{'at least' if self.untimed else 'about'} {span(self.seconds)}{notes_said}"

    def doubt(self, run: Path) -> str | None:
        """RunError where memory or disk can't be enough; a line of doubt where they may not be."""
        units = _counted(sum(len(part.lacking) for part in self.parts), "unit")
        refuse_full_disk(
            {run: self.run_bytes, cache_directory(): self.cache_bytes},
            f"{units} will take {sized(self.run_bytes)} of {run} and "
            f"{sized(self.cache_bytes)} of {cache_directory()}",
            "choose another --run-dir or FPMC_BENCH_CACHE, take fewer --items, or leave out "
            "--keep-predictions",
        )
        if self.on_gpu:
            return None
        free, grown = free_memory(), self.grown_bytes
        others = (self.local - 1) * (self.held_bytes or 0)
        if grown is not None and others + grown > free:
            largest = max(self.left, key=lambda part: part.timings.grown_bytes or 0)
            raise RunError(
                f"{largest.name} took {sized(grown)} of memory when it was timed, beside "
                f"{sized(others)} of other processes, and {sized(free)} are free; take fewer "
                f"--processes, a smaller --memory-budget, or a machine with more"
            )
        most = others + self.local * (self.budget_bytes if grown is None else grown)
        if self.left and most > free:
            what = "their --memory-budget" if grown is None else "as much as when they were timed"
            return (
                f"memory may be short: {_counted(self.local, 'process')} take {sized(most)} where "
                f"all use {what}, and {sized(free)} are free"
            )
        return None


def _counted(number: int, what: str) -> str:
    several = {"process": "processes"}.get(what, f"{what}s")
    return f"{number} {what if number == 1 else several}"


def outlook_of(
    parts: tuple[Part, ...],
    processes: Processes,
    settings: EngineSettings,
    costs: Costs,
    *,
    together: bool = False,
) -> Outlook:
    """For processes that have started, and hold what they need before their first unit."""
    local = local_processes(processes.world)
    return Outlook(
        parts,
        processes.world,
        local,
        settings.budget_bytes,
        ending_seconds(costs),
        together=together,
        on_gpu=processes.device != "cpu",
    )


def starting_seconds(costs: Costs, processes: int) -> float:
    """To start so many processes on this machine; 0 where no start was timed.

    Several are started by a process of its own, and load what they need on the cores there are.
    """
    alone = costs.of(START).seconds(1) or 0.0
    return alone if processes == 1 else alone * (1 + max(1, processes / (os.cpu_count() or 1)))


def ending_seconds(costs: Costs) -> float:
    """From the last unit to the end: records, tables and figures.

    About what a start takes, and for the same reasons: libraries to load, and many small files.
    """
    return costs.of(START).seconds(1) or 0.0


def local_processes(world: int) -> int:
    """How many of a run's processes are on this machine, as a launcher says."""
    said = os.environ.get("LOCAL_WORLD_SIZE", "")
    return min(world, int(said)) if said.isdecimal() else world
