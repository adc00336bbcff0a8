"""How processes of one launch find each other: in a part of a store that is theirs alone.

The store may be that of torchrun's agent, which outlives its processes and keeps what they wrote:
whoever believed that would look for processes that are gone.
"""

import os
import platform
import sys
import threading
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import timedelta

import torch
from torch.distributed.distributed_c10d import PrefixStore, Store

from fpmc_bench.errors import RunError
from fpmc_bench.interruptions import waiting
from fpmc_bench.launched import UNSET, is_ours, launched

TIMEOUT = timedelta(minutes=10)
"""For all processes to be there, when they begin."""
SILENT_SECONDS = 10
"""Of waiting for the others to begin, before that is said."""
LOOK_SECONDS = 0.05
MEETING = "fpmc-bench/meeting"
ABSENT = "fpmc-bench/absent"
"""Who does not come, and why. Where torchrun starts all again their store is another."""
ABSENT_TIMEOUT = timedelta(seconds=15)
"""For one that does not come to reach the store and say so."""


def meet(rank: int, world: int) -> Store:
    """A new part of the store, once all processes are there; RunError where one doesn't come."""
    from torch.distributed.rendezvous import rendezvous

    minutes = TIMEOUT // timedelta(minutes=1)
    where = f"{os.environ['MASTER_ADDR']}:{os.environ['MASTER_PORT']}"
    who = f"process {rank} of {world} (RANK, WORLD_SIZE)"
    text = f"fpmc-bench: {who} waits for the others at {where}, {minutes} minutes at most; {UNSET}"
    notice = threading.Timer(SILENT_SECONDS, print, [text], {"file": sys.stderr, "flush": True})
    notice.daemon = True
    notice.start()
    try:
        with waiting():
            store, _, _ = next(rendezvous("env://", timeout=TIMEOUT))
            name = _called(store, world) if rank == 0 else _answered(store, rank)
        _met.append(name)
    except torch.distributed.DistError as error:
        reason = str(error).partition("\n")[0]
        raise RunError(f"{who} did not meet the others at {where} ({reason}); {UNSET}") from error
    finally:
        notice.cancel()
    return PrefixStore(name, store)


_met: list[str] = []
"""Where this process has met others."""


@contextmanager
def absence_told() -> Iterator[None]:
    """Around all that a process does: one that fails before it has met the others tells them why.

    They would wait for it on their machines, where nobody notices that it has ended.
    """
    try:
        yield
    except Exception as error:
        rank, world = launched()
        if world > 1 and not _met and not is_ours():
            _tell_absence(f"process {rank} ({platform.node()}) has ended before that: {error}")
        raise


def _tell_absence(text: str) -> None:
    from torch.distributed.rendezvous import rendezvous

    with suppress(Exception), waiting():  # there may be nobody to tell
        store, _, _ = next(rendezvous("env://", timeout=ABSENT_TIMEOUT))
        store.set(ABSENT, text)


def _refuse_absence(store: Store) -> None:
    if store.check([ABSENT]):
        raise RunError(f"processes did not meet: {store.get(ABSENT).decode()}")


def _called(store: Store, world: int) -> str:
    """Process 0: a new name, under which each of the others has left a word of its own."""
    name = uuid.uuid4().hex
    store.set(MEETING, name)
    answers = [_key(name, rank) for rank in range(1, world)]
    deadline = time.monotonic() + TIMEOUT.total_seconds()
    while not store.check(answers):
        _refuse_absence(store)
        if time.monotonic() > deadline:
            raise torch.distributed.DistStoreError(f"not all have come in {TIMEOUT}")
        time.sleep(LOOK_SECONDS)
    store.set(f"{name}/all", " ".join(store.get(answer).decode() for answer in answers))
    return name


def _answered(store: Store, rank: int) -> str:
    """Another: the name under which process 0 has read this process's word.

    Until then the name may be an earlier one, whose process 0 is gone.
    """
    word = uuid.uuid4().hex
    deadline = time.monotonic() + TIMEOUT.total_seconds()
    while time.monotonic() < deadline:
        _refuse_absence(store)
        if store.check([MEETING]):
            name = store.get(MEETING).decode()
            store.set(_key(name, rank), word)
            if store.check([f"{name}/all"]) and word in store.get(f"{name}/all").decode().split():
                return name
        time.sleep(LOOK_SECONDS)
    raise torch.distributed.DistStoreError(f"process 0 did not answer for {TIMEOUT}")


def _key(name: str, rank: int) -> str:
    return f"{name}/{rank}"
