"""How far the memory of this process, or of its GPU, grows while something is done."""

import ctypes
import gc
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import psutil
import torch

SAMPLING_SECONDS = 1e-3


@dataclass
class PeakMemory:
    """How far memory grew above where it stood, filled in when the block ends."""

    grown_bytes: int = 0
    _stop: threading.Event = field(default_factory=threading.Event)


@contextmanager
def peak_memory(device: str) -> Iterator[PeakMemory]:
    """Watch resident memory a thousand times a second, or ask the GPU's allocator.

    Files that are mapped don't count, where that is known: the system lets them go when it must.
    """
    peak = PeakMemory()
    if device.startswith("cuda"):
        before = torch.cuda.memory_allocated(device)
        torch.cuda.reset_peak_memory_stats(device)
        yield peak
        peak.grown_bytes = torch.cuda.max_memory_allocated(device) - before
        return
    _return_freed_memory()
    before = own_bytes()

    def watch() -> None:
        while not peak._stop.wait(SAMPLING_SECONDS):
            peak.grown_bytes = max(peak.grown_bytes, own_bytes() - before)

    watcher = threading.Thread(target=watch, daemon=True)
    watcher.start()
    try:
        yield peak
    finally:
        peak._stop.set()
        watcher.join()


def own_bytes() -> int:
    """Resident memory of this process that no file stands for."""
    found = psutil.Process().memory_info()
    shared: int = getattr(found, "shared", 0)  # of Linux
    return max(0, found.rss - shared)


def _return_freed_memory() -> None:
    """Have the C library give back what is free, where it can, so that growth shows."""
    gc.collect()
    if sys.platform == "linux":
        library = ctypes.CDLL(None)
        if hasattr(library, "malloc_trim"):  # glibc's
            library.malloc_trim(0)
