"""Which processes see the same folder: they are an island, and the lowest rank leads it.

A path says nothing: two machines have each a disk of their own under one, or one file system under
two. So every process leaves a file of its own name in the folder, and looks whose others it finds.
"""

import json
import logging
import time
from dataclasses import dataclass
from pathlib import Path

from fpmc_bench.errors import RunError
from fpmc_bench.harness.cluster.agreement import refused_together
from fpmc_bench.harness.cluster.processes import Processes
from fpmc_bench.storage.atomic import write_atomically
from fpmc_bench.storage.temporary import temporary_path

log = logging.getLogger(__name__)
APPEARS_SECONDS = 5
"""For a file of one process to be seen by others, on a slow file system."""


@dataclass(frozen=True)
class Islands:
    """The island of every process, by the rank that leads it, as the process `rank` needs them."""

    rank: int
    leader_of: tuple[int, ...]
    look: str = ""
    """A name that is new with each look at who sees whose files, and the same in all processes."""

    @property
    def leaders(self) -> tuple[int, ...]:
        """Of each island the lowest rank, ascending: the main process is the first."""
        return tuple(sorted(set(self.leader_of)))

    @property
    def leads(self) -> bool:
        """Whether this process speaks for its island: it holds the folder, and sends its files."""
        return self.leader == self.rank

    @property
    def leader(self) -> int:
        """Of this process's island."""
        return self.leader_of[self.rank]

    @property
    def shared(self) -> bool:
        """Whether there is one island alone."""
        return len(self.leaders) == 1

    def tell(self, folder: Path) -> None:
        """In the main process, a line of the log where not all see its folder."""
        others = [rank for rank, leader in enumerate(self.leader_of) if leader != 0]
        if others and self.rank == 0:
            log.warning(
                "%s of %d %s another folder than %s of process 0: there are %d such folders, and "
                "what is finished in the others is sent to that one",
                f"process{'es' * (len(others) > 1)} {', '.join(map(str, others))}",
                len(self.leader_of),
                "see" if len(others) > 1 else "sees",
                folder.absolute(),
                len(self.leaders),
            )


ALONE = Islands(0, (0,))
"""Of the only process."""


def islands_of(processes: Processes, *folders: Path) -> tuple[Islands, ...]:
    """The islands of each of these folders, which are made; the same in every process.

    RunError, in every process, where two see each other's files in one direction alone, or where a
    folder can't be written into, which is a DiskError there.
    """
    if processes.world == 1:
        return tuple(ALONE for _ in folders)
    # a temporary name: that of a process that is killed here is removed some day
    names = processes.gather(temporary_path(Path("island")).name)
    own = [folder / names[processes.rank] for folder in folders]
    try:
        with refused_together(processes):
            for token in own:
                write_atomically(token, b"")
        mine = [_seen(folder, names, processes.rank) for folder in folders]
        everyone = [json.loads(text) for text in processes.gather(json.dumps(mine))]
    finally:
        for token in own:
            token.unlink(missing_ok=True)
    return tuple(
        Islands(processes.rank, _leaders(folder, [seen[place] for seen in everyone]), names[0])
        for place, folder in enumerate(folders)
    )


def _seen(folder: Path, names: list[str], own: int) -> list[int]:
    """Ranks whose files are there, once all are or time is up; this process's own among them."""
    deadline = time.monotonic() + APPEARS_SECONDS
    while True:
        there = (rank == own or (folder / name).is_file() for rank, name in enumerate(names))
        seen = [rank for rank, found in enumerate(there) if found]
        if len(seen) == len(names) or time.monotonic() > deadline:
            return seen
        time.sleep(APPEARS_SECONDS / 50)


def _leaders(folder: Path, seen: list[list[int]]) -> tuple[int, ...]:
    """By rank, from whose files each process has seen."""
    for rank, ranks in enumerate(seen):
        for other in ranks:
            if seen[other] != ranks:
                raise RunError(
                    f"process {rank} finds in {folder.absolute()} what process {other} of "
                    f"{len(seen)} writes, but they don't find the same files there: the file "
                    f"system is too slow; choose a folder that all see, or for each machine one "
                    f"that no other sees"
                )
    return tuple(min(ranks) for ranks in seen)
