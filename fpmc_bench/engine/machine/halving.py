"""Work in a memory budget that a GPU may turn out not to have."""

import logging
from collections.abc import Callable
from typing import TypeVar

import torch

LEAST_BYTES = 2**20
log = logging.getLogger(__name__)
Result = TypeVar("Result")


def within_memory(budget_bytes: int, compute: Callable[[int], Result]) -> Result:
    """`compute(budget_bytes)`; where that is out of memory with half of the budget, and so on.

    torch.OutOfMemoryError where 1 MiB is still too much.
    """
    while True:
        try:
            return compute(budget_bytes)
        except torch.OutOfMemoryError:
            if budget_bytes <= LEAST_BYTES:
                raise
        # not while the exception is handled: its traceback holds what was allocated
        budget_bytes //= 2
        log.warning("out of memory; going on with a budget of %d MiB", budget_bytes >> 20)
