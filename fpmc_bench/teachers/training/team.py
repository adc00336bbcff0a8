"""Who shares a batch: one process alone, or several whose sums somebody else knows how to make."""

from dataclasses import dataclass
from typing import Protocol

from torch import Tensor


class Team(Protocol):
    """The processes that share every batch; this one is `rank` of `world`."""

    @property
    def rank(self) -> int: ...

    @property
    def world(self) -> int: ...

    def add_up(self, values: Tensor) -> Tensor:
        """The sum of `values` [n] over all processes, [n], with the same bits in each.

        All of them must call it.
        """
        ...


@dataclass(frozen=True)
class Alone:
    """One process that takes whole batches."""

    rank: int = 0
    world: int = 1

    def add_up(self, values: Tensor) -> Tensor:
        """The `values` [n] themselves, as those of the only process."""
        return values
