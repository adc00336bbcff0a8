"""A source that processes hold together: they compute every unit of a row at the same time.

Each has a part of the images, and the engine adds up what they find (`engine/merging.py`). Every
message has a short one before it, in which all say whether they are well and where they are: what
one raises then reaches the others where they wait for it, and no two mistake one message for
another. A unit fails in all processes or in none; where one ends the others have an error.
"""

import traceback
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Literal

import torch
from torch import Tensor

from fpmc_bench.engine import current_settings, using
from fpmc_bench.engine.machine.sharing import ShortElsewhere
from fpmc_bench.errors import PluginError
from fpmc_bench.harness.cluster.processes import LostProcessError

Reduce = Callable[[Tensor, Literal["minimum", "sum"]], Tensor]
"""The minimum or the sum over all processes, elementwise, with the same bits in each."""
Gather = Callable[[str], list[str]]
"""What all processes have to say, by rank."""
FAILED, SHORT, FINE = range(3)
NOWHERE = 2**40
"""For a process that is not well: more than any checksum of a place."""


class Shards:
    """`world` processes with parts of every source, of which this one is `rank`; a `Sharing`."""

    def __init__(self, rank: int, world: int, reduce: Reduce, gather: Gather) -> None:
        self.rank, self.world = rank, world
        self._reduce, self._gather = reduce, gather
        self._ended: PluginError | None = None
        """Why the unit is none any more, once all know that."""
        self._lost: LostProcessError | None = None
        """What the loss of a process was: then there is nobody to meet."""

    @contextmanager
    def unit(self, name: str) -> Iterator[None]:
        """Around what all processes compute together: one exception, and all have one.

        PluginError with what the others raised where this one raised nothing. LostProcessError
        where a process has ended, whatever was made of that inside.
        """
        self._ended = None
        try:
            with using(replace(current_settings(), sharing=self)):
                yield
            if self._meet(FINE, f"at the end of {name}") == SHORT:
                raise PluginError(f"processes don't ask for the same in {name}")
        except Exception as error:
            if self._lost is not None and error is not self._lost:
                raise self._lost from None
            if self._lost is None and self._ended is None:
                self._say_failed(traceback.format_exc())
            raise

    def decided(self, choice: bool) -> bool:
        """What the main process chooses, in all of them."""
        mine = choice if self.rank == 0 else True
        return bool(self._reduced(torch.tensor(int(mine)), "minimum"))

    def minimum(self, values: Tensor) -> Tensor:
        """As `Sharing` says, of [...]; PluginError where another fails, or asks for other."""
        return self._together(values, "minimum")

    def sum(self, values: Tensor) -> Tensor:
        """As `minimum`, of [...]."""
        return self._together(values, "sum")

    def short(self, here: bool) -> bool:
        """As `Sharing` says; raises as `minimum`."""
        return self._meet(SHORT if here else FINE, "at the end of an evaluation") == SHORT

    def _together(self, values: Tensor, how: Literal["minimum", "sum"]) -> Tensor:
        if self._meet(FINE, f"at a {how} of {list(values.shape)} {values.dtype}") == SHORT:
            raise ShortElsewhere("another process is out of memory")
        return self._reduced(values, how)

    def _meet(self, state: int, place: str) -> int:
        """The state of the process that is worst off; raises where that is none to go on from."""
        if self._ended is not None:  # and something inside went on after it
            raise self._ended
        worst, least, most = self._states(state, zlib.crc32(place.encode()))
        if worst == FAILED:
            reports = [f"process {rank}: {text}" for rank, text in self._told("") if text]
            self._ended = PluginError("failed in another process\n" + "\n".join(reports))
        elif worst == FINE and least != -most:
            places = [f"process {rank} is {text}" for rank, text in self._told(place)]
            self._ended = PluginError(
                f"processes that hold a source together must ask for the same: "
                f"{', '.join(places)}; what depends on chance runs without --shard-source"
            )
        if self._ended is not None:
            raise self._ended
        return worst

    def _say_failed(self, report: str) -> None:
        self._states(FAILED, NOWHERE)
        self._told(report)

    def _states(self, state: int, place: int) -> list[int]:
        """The worst of all; of those who are fine the least place, and the least negative one."""
        places = [place, -place] if state == FINE else [NOWHERE, NOWHERE]
        found: list[int] = self._reduced(torch.tensor([state, *places]), "minimum").tolist()
        return found

    def _told(self, text: str) -> list[tuple[int, str]]:
        try:
            return list(enumerate(self._gather(text)))
        except LostProcessError as error:
            self._lost = error
            raise

    def _reduced(self, values: Tensor, how: Literal["minimum", "sum"]) -> Tensor:
        if self._lost is not None:
            raise self._lost
        try:
            return self._reduce(values, how)
        except LostProcessError as error:
            self._lost = error
            raise
