"""What processes that hold parts of one source do together, as far as the engine knows.

How they reach each other is the harness's affair. Every call here is made by all of them alike, in
the same order and with arrays of the same shape, and all are given the same bits: whatever is
decided from these is decided alike everywhere.
"""

from typing import Protocol

import torch
from torch import Tensor


class Sharing(Protocol):
    """`world` processes, of which this one is `rank`, each with its part of every source.

    A method raises what the harness has for a process that did not come, or failed elsewhere; and
    `ShortElsewhere` where another process said `short(True)` instead.
    """

    @property
    def rank(self) -> int:
        """From 0."""

    @property
    def world(self) -> int:
        """How many share."""

    def minimum(self, values: Tensor) -> Tensor:
        """The smallest of all processes' values, elementwise: [...] on the device they were on."""

    def sum(self, values: Tensor) -> Tensor:
        """The sum of all processes' values, elementwise: [...] on the device they were on."""

    def short(self, here: bool) -> bool:
        """Whether any process is short of memory: all begin anew then, each with less."""


class ShortElsewhere(torch.OutOfMemoryError):
    """Another process is short of memory, in the midst of what this one does with it."""
