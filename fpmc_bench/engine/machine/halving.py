"""Work in a memory budget that a GPU may turn out not to have."""

import logging
import re
from collections.abc import Callable
from typing import TypeVar

import torch

from fpmc_bench.engine.machine.sharing import Sharing, ShortElsewhere

LEAST_BYTES = 2**20
REFUSED = re.compile(r"out of memory|_ALLOC_FAILED")
"""What cuBLAS, cuDNN, Triton and the driver say where torch has no error of its own for it."""
log = logging.getLogger(__name__)
Result = TypeVar("Result")

_affordable_bytes: int | None = None
"""The budget that was enough in this process after a larger one was not."""


def affordable(budget_bytes: int) -> int:
    """So much, or what was enough in this process after that was not."""
    return min(budget_bytes, _affordable_bytes or budget_bytes)


def within_memory(
    budget_bytes: int, compute: Callable[[int], Result], sharing: Sharing | None = None
) -> Result:
    """`compute(budget_bytes)`; where that is out of memory with half of the budget, and so on.

    What a GPU did not have once is not asked of it again: from then on no budget in this process is
    larger than the one that was enough. What `compute` raised where 1 MiB is still too much.
    Processes of a `sharing`, which ask for the same and may all afford that, take half together
    where one of them is out of memory.
    """
    global _affordable_bytes
    budget = affordable(budget_bytes)
    while True:
        try:
            result = compute(budget)
            if sharing and sharing.short(False):
                raise ShortElsewhere
            break
        except RuntimeError as error:
            if not is_out_of_memory(error):
                raise
            if sharing and not isinstance(error, ShortElsewhere):
                sharing.short(True)
            if budget <= LEAST_BYTES:
                raise
        # not while the exception is handled: its traceback holds what was allocated
        budget //= 2
        torch.cuda.empty_cache()  # what torch holds unused is what libraries beside it lack
        log.warning("out of memory; this process goes on with a budget of %d MiB", budget >> 20)
    if budget < budget_bytes:
        _affordable_bytes = budget
    return result


def is_out_of_memory(error: Exception) -> bool:
    """Whether a GPU had no room for what was asked, whichever library asked for it."""
    if isinstance(error, torch.OutOfMemoryError):
        return True
    return isinstance(error, RuntimeError) and REFUSED.search(str(error)) is not None
