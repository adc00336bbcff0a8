"""What processes tell the main one while they work, through the store that they share.

Each has a sequence of its own, which it alone writes and the main process alone reads: nobody waits
for anybody, and one that is killed in the middle of a sentence keeps nobody else from being heard.
"""

import json
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from fpmc_bench.harness.cluster.processes import Processes


@dataclass
class News:
    """`name` is one that all processes use for the same job, and for no other."""

    processes: Processes
    name: str
    _sent: int = field(default=0, init=False)
    _read: dict[int, int] = field(default_factory=dict, init=False)
    """By process, how much of its sequence."""

    def send(self, *what: Any) -> None:
        """Plain data; lost where whoever keeps the store has ended, which others will say."""
        with suppress(RuntimeError):
            self.processes.store.set(self._key(self.processes.rank, self._sent), json.dumps(what))
        self._sent += 1

    def receive(self) -> Iterator[tuple[int, list[Any]]]:
        """(process, what it sent) that has not been read yet; in the main process."""
        store = self.processes.store
        with suppress(RuntimeError):
            for rank in range(self.processes.world):
                # asked before it is got, which would wait, and keep others from asking
                while store.check([key := self._key(rank, self._read.get(rank, 0))]):
                    what = json.loads(store.get(key))
                    store.delete_key(key)
                    self._read[rank] = self._read.get(rank, 0) + 1
                    yield rank, what

    def _key(self, rank: int, number: int) -> str:
        return f"{self.name}/{rank}/{number}"
