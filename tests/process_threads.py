"""Processes that are threads, and meet in one: what is agreed and sent, without starting any."""

import threading
from collections import defaultdict
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from queue import Queue
from typing import TypeVar

from fpmc_bench.errors import RunError
from fpmc_bench.harness.processes import Processes

Found = TypeVar("Found")
WAIT_SECONDS = 30


@dataclass
class Meeting:
    """Where so many threads meet, say something and hand each other bytes."""

    world: int
    said: dict[int, str] = field(default_factory=dict)
    posts: dict[tuple[int, int], "Queue[bytes]"] = field(default_factory=lambda: defaultdict(Queue))
    sent: list[tuple[int, int, int]] = field(default_factory=list)
    """(sender, receiver, bytes) of all that was sent."""

    def __post_init__(self) -> None:
        """A barrier for all."""
        self.barrier = threading.Barrier(self.world)


@dataclass(frozen=True)
class Threads(Processes):
    """One of them."""

    meeting: Meeting = field(kw_only=True)

    def wait(self) -> None:
        """As every process does."""
        self.meeting.barrier.wait(WAIT_SECONDS)

    def gather(self, text: str) -> list[str]:
        """By rank."""
        self.meeting.said[self.rank] = text
        self.wait()
        found = [self.meeting.said[rank] for rank in range(self.world)]
        self.wait()
        return found

    def send(self, content: bytes, to: int) -> None:
        """In pieces of the size that is received."""
        assert content, "torch sends no tensor without a number"
        self.meeting.sent.append((self.rank, to, len(content)))
        self.meeting.posts[self.rank, to].put(content)

    def receive(self, size: int, sender: int) -> bytes:
        """As many as were sent."""
        piece = self.meeting.posts[sender, self.rank].get(timeout=WAIT_SECONDS)
        assert len(piece) == size
        return piece


def in_threads(meeting: Meeting, work: Callable[[Processes], Found]) -> list[Found]:
    """What each of them makes of it, by rank."""
    with ThreadPoolExecutor(meeting.world) as pool:
        threads = [
            Threads(rank, meeting.world, "cpu", meeting=meeting) for rank in range(meeting.world)
        ]
        return list(pool.map(work, threads))


def errors_of(world: int, work: Callable[[Processes], object]) -> list[str | None]:
    """What each of so many is refused with."""

    def refused(mine: Processes) -> str | None:
        try:
            work(mine)
        except RunError as error:
            return str(error)
        return None

    return in_threads(Meeting(world), refused)
