"""Processes that hold a source together, as threads of one process: the same messages, at once."""

import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Literal, TypeVar

import torch
from torch import Tensor

from fpmc_bench.harness.cluster.processes import LostProcessError
from fpmc_bench.harness.cluster.shards import Shards

PATIENCE_SECONDS = 20
"""Then they have missed each other: a message too few, which would be a run that hangs."""
Found = TypeVar("Found")


@dataclass
class Room:
    """Where `world` threads leave what they say, until all have read it."""

    world: int
    said: dict[int, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.door = threading.Barrier(self.world)

    def exchanged(self, rank: int, word: Any) -> list[Any]:
        """By rank; LostProcessError where a thread has left."""
        self.said[rank] = word
        try:
            self.door.wait(PATIENCE_SECONDS)
            everyone = [self.said[other] for other in range(self.world)]
            self.door.wait(PATIENCE_SECONDS)
        except threading.BrokenBarrierError as error:
            raise LostProcessError("another process has ended") from error
        return everyone

    def shards(self, rank: int) -> Shards:
        """Of one thread."""

        def reduce(values: Tensor, how: Literal["minimum", "sum"]) -> Tensor:
            everyone = self.exchanged(rank, values)
            assert len({(one.shape, one.dtype) for one in everyone}) == 1, "messages are mistaken"
            together = torch.stack(everyone)
            return together.amin(0) if how == "minimum" else together.sum(0)

        return Shards(rank, self.world, reduce, lambda text: self.exchanged(rank, text))


def in_threads(world: int, work: Callable[[Shards], Found]) -> list[Found | Exception]:
    """What `work` returns or raises in each of `world` threads, by rank."""
    room, found = Room(world), dict[int, Found | Exception]()

    def one(rank: int) -> None:
        torch.set_num_threads(1)
        try:
            found[rank] = work(room.shards(rank))
        except Exception as error:
            found[rank] = error

    threads = [threading.Thread(target=one, args=(rank,)) for rank in range(world)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return [found[rank] for rank in range(world)]
