"""Processes that are threads, and meet in one: what is agreed and sent, without starting any."""

import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from queue import Queue
from typing import TypeVar

from fpmc_bench.errors import RunError
from fpmc_bench.harness.cluster.processes import Processes

Found = TypeVar("Found")
WAIT_SECONDS = 30
TURN_SECONDS = 0.001
"""For a thread that waits to be given the turn."""


@dataclass
class Meeting:
    """Where so many threads meet, say something and hand each other bytes.

    One of them runs at a time, and another only while it waits: what belongs to the process, as
    its random numbers, is theirs by turns.
    """

    world: int
    said: dict[int, str] = field(default_factory=dict)
    posts: dict[tuple[int, int], "Queue[bytes]"] = field(default_factory=lambda: defaultdict(Queue))
    sent: list[tuple[int, int, int]] = field(default_factory=list)
    """(sender, receiver, bytes) of all that was sent."""
    turn: threading.Lock = field(default_factory=threading.Lock)

    def __post_init__(self) -> None:
        """A barrier and a store for all."""
        self.barrier = threading.Barrier(self.world)
        self.store = Processes(0, 1, "cpu").store

    @contextmanager
    def waiting(self) -> Iterator[None]:
        """Around what the others are needed for."""
        self.turn.release()
        try:
            yield
        finally:
            self.turn.acquire()


@dataclass(frozen=True)
class Threads(Processes):
    """One of them."""

    meeting: Meeting = field(kw_only=True)

    def wait(self) -> None:
        """As every process does."""
        with self.meeting.waiting():
            self.meeting.barrier.wait(WAIT_SECONDS)

    def gather(self, text: str) -> list[str]:
        """By rank."""
        self.meeting.said[self.rank] = text
        self.wait()
        found = [self.meeting.said[rank] for rank in range(self.world)]
        self.wait()
        return found

    def count(self, name: str, more: int = 0) -> int:
        """And the others have their turn."""
        with self.meeting.waiting():
            time.sleep(TURN_SECONDS)
        return super().count(name, more)

    def send(self, content: bytes, to: int) -> None:
        """In pieces of the size that is received."""
        assert content, "torch sends no tensor without a number"
        self.meeting.sent.append((self.rank, to, len(content)))
        self.meeting.posts[self.rank, to].put(content)

    def receive(self, size: int, sender: int) -> bytes:
        """As many as were sent."""
        with self.meeting.waiting():
            piece = self.meeting.posts[sender, self.rank].get(timeout=WAIT_SECONDS)
        assert len(piece) == size
        return piece


def in_threads(meeting: Meeting, work: Callable[[Processes], Found]) -> list[Found]:
    """What each of them makes of it, by rank; raises what the first of them raised."""
    raised: list[BaseException] = []

    def run(rank: int) -> Found:
        own = Threads(rank, meeting.world, "cpu", meeting.store, meeting=meeting)
        with meeting.turn:
            try:
                return work(own)
            except BaseException as error:
                raised.append(error)
                meeting.barrier.abort()
                raise

    with ThreadPoolExecutor(meeting.world) as pool:
        found = [pool.submit(run, rank) for rank in range(meeting.world)]
    if raised:
        raise raised[0]
    return [one.result() for one in found]


def errors_of(world: int, work: Callable[[Processes], object]) -> list[str | None]:
    """What each of so many is refused with."""

    def refused(mine: Processes) -> str | None:
        try:
            work(mine)
        except RunError as error:
            return str(error)
        return None

    return in_threads(Meeting(world), refused)
