"""Memory that one evaluation leaves to the next.

What is kept between two passes is tens of megabytes. Allocators hand that back to the system, page
by page, and get it again for the next queries: that takes as long as half of the work done on it.
"""

import math
import threading
from functools import cache

import torch
from torch import Tensor

ALIGNMENT_BYTES = 64
LARGEST_LEARNT_BYTES = 31 * 2**20
"""glibc keeps what is freed for the next allocation up to the size of the largest it has seen
freed, and twice that in all, but learns nothing from sizes of 32 MiB and more."""

_held = threading.local()


class Scratch:
    """Arrays carved one after another from memory that the thread held before, if it was enough.

    All arrays are invalid once the thread makes the next Scratch. On a GPU it is new memory each
    time: torch keeps a GPU's memory itself.
    """

    def __init__(self, device: torch.device, size_bytes: int, arrays: int) -> None:
        self._flat = _memory(device, size_bytes + arrays * ALIGNMENT_BYTES)
        self._used_bytes = 0

    def take(self, shape: tuple[int, ...], dtype: torch.dtype = torch.float32) -> Tensor:
        """An array [*shape] with whatever was there before; RuntimeError where there is no more."""
        start = self._used_bytes
        stop = start + math.prod(shape) * dtype.itemsize
        self._used_bytes = stop + -stop % ALIGNMENT_BYTES
        return self._flat[start:stop].view(dtype).view(shape)


def _memory(device: torch.device, size_bytes: int) -> Tensor:
    if device.type != "cpu":
        return torch.empty(size_bytes, dtype=torch.uint8, device=device)
    memory: Tensor | None = getattr(_held, "memory", None)
    if memory is None or not size_bytes <= len(memory) <= 4 * size_bytes:
        _held.memory = memory = None  # gone before more is asked for
        memory = torch.empty(size_bytes, dtype=torch.uint8)
        _held.memory = memory
    return memory


@cache
def teach_allocator() -> None:
    """Have freed working arrays kept by the process instead of handed back to the system."""
    torch.empty(LARGEST_LEARNT_BYTES, dtype=torch.uint8)  # reserved, never touched, freed
