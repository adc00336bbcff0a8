"""Work in a memory budget that a GPU may turn out not to have."""

import logging
import re
from collections.abc import Callable
from typing import TypeVar

import torch

LEAST_BYTES = 2**20
REFUSED = re.compile(r"out of memory|_ALLOC_FAILED")
"""What cuBLAS, cuDNN, Triton and the driver say where torch has no error of its own for it."""
log = logging.getLogger(__name__)
Result = TypeVar("Result")

_affordable_bytes: int | None = None
"""The budget that was enough in this process after a larger one was not."""


def within_memory(budget_bytes: int, compute: Callable[[int], Result]) -> Result:
    """`compute(budget_bytes)`; where that is out of memory with half of the budget, and so on.

    What a GPU did not have once is not asked of it again: from then on no budget in this process is
    larger than the one that was enough. What `compute` raised where 1 MiB is still too much.
    """
    global _affordable_bytes
    budget = min(budget_bytes, _affordable_bytes or budget_bytes)
    while True:
        try:
            result = compute(budget)
            break
        except RuntimeError as error:
            if not is_out_of_memory(error) or budget <= LEAST_BYTES:
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
