"""The processes of a run, through accelerate: who am I, how many are we, whose turn is it.

Work units never communicate: ranks take them from a counter and meet only between stages, so one
rank that fails can't leave the others hanging inside a collective.
"""

import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Literal

import torch
from torch import Tensor
from torch.distributed.distributed_c10d import PrefixStore, Store

from fpmc_bench.engine.machine.tf32 import refuse_tf32
from fpmc_bench.errors import RunError, UsageError
from fpmc_bench.harness.cluster.meeting import meet
from fpmc_bench.interruptions import GOES_ON, waiting
from fpmc_bench.launched import OTHERS_SPEAK_SECONDS, launched, may_restart

BARRIER_TIMEOUT = timedelta(days=7)
"""Ranks finish their shares at different times; the default of half an hour would kill a run."""
GPU_BACKENDS = "cpu:gloo,cuda:nccl"
"""By where it is that what processes add up lies."""


class LostProcessError(RunError):
    """Another process has ended, for which this one waited."""


@dataclass(frozen=True)
class Processes:
    """This process (`rank`) among `world` equal ones, and the device it computes on.

    What they have counted so far is in `store`, which belongs to this meeting of theirs alone.
    """

    rank: int
    world: int
    device: str
    store: Store = field(default_factory=lambda: _own_store(), repr=False, compare=False)
    _taken: Counter[str] = field(default_factory=Counter, repr=False, compare=False)

    @property
    def is_main(self) -> bool:
        return self.rank == 0

    def take(self, name: str, count: int) -> Iterator[int]:
        """Indices of `count` tasks, each for one process: for whichever asks next.

        All that share the tasks call it by the same name, equally often.
        """
        self._taken[name] += 1
        turn = f"take/{name}/{self._taken[name]}"
        while (index := self.count(turn, 1) - 1) < count:
            yield index

    def count(self, name: str, more: int = 0) -> int:
        """A number that all processes share, from 0, after `more` was added to it.

        RunError where whoever keeps the store has ended.
        """
        if self.world == 1:
            return int(self.store.add(name, more))
        with _losing_others():
            return int(self.store.add(name, more))

    def wait(self) -> None:
        """Return once every process has arrived here; RunError where one has ended."""
        if self.world > 1:
            with _losing_others():
                # on the CPU, and so by gloo: processes may share a GPU, which NCCL refuses
                torch.distributed.all_reduce(torch.zeros(()))

    def gather(self, text: str) -> list[str]:
        """What every process has to say here, by rank; RunError where one has ended."""
        if self.world == 1:
            return [text]
        from accelerate.utils import gather_object

        with _losing_others():
            return list(gather_object([text]))

    def send(self, content: bytes, to: int) -> None:
        """Hand bytes to another process, at least one, which is to `receive` as many from this.

        RunError where it has ended.
        """
        with _losing_others():
            torch.distributed.send(torch.frombuffer(bytearray(content), dtype=torch.uint8), to)

    def receive(self, size: int, sender: int) -> bytes:
        """So many bytes that another process sends; RunError where it has ended."""
        piece = torch.empty(size, dtype=torch.uint8)
        with _losing_others():
            torch.distributed.recv(piece, sender)
        return piece.numpy().tobytes()

    def reduced(self, values: Tensor, how: Literal["minimum", "sum"]) -> Tensor:
        """Over all processes, elementwise: [...] of the same bits in each, where values lie.

        RunError where one has ended.
        """
        operations = {
            "minimum": torch.distributed.ReduceOp.MIN,
            "sum": torch.distributed.ReduceOp.SUM,
        }
        # on the CPU, and so by gloo, as in `wait`: NCCL would be faster where each has a GPU
        wide = (
            torch.promote_types(values.dtype, torch.float32) if values.is_floating_point() else None
        )
        found = values.to("cpu", wide, copy=True)
        with _losing_others():
            torch.distributed.all_reduce(found, operations[how])
        return found.to(values)


def _own_store() -> Store:
    """In memory, for a process that is alone."""
    return torch.distributed.HashStore()  # type: ignore[attr-defined]


def join_processes(device: str = "auto") -> Processes:
    """Join the processes started by accelerate or torchrun, or be the only one.

    `device`: auto (a GPU where there is one), cpu, cuda or cuda:N, which then is that of all. Where
    there are more processes than GPUs they share them. UsageError for another device, for a GPU
    that torch does not find, and for half of a launcher's variables; RunError where the others are
    not there in ten minutes.
    """
    cuda = torch.cuda.is_available()
    if device.startswith("cuda") and not cuda:
        raise UsageError(f"device '{device}' was asked for, but torch finds no CUDA GPU; use cpu")
    if not (device in ("auto", "cpu") or device.startswith("cuda")):
        raise UsageError(f"unknown device '{device}'; expected auto, cpu, cuda or cuda:N")
    on_cpu = device == "cpu" or not cuda
    if not on_cpu:
        _refuse_unknown_gpu(device)
        refuse_tf32()
    rank, world = launched()
    if world == 1:
        found = Processes(0, 1, "cpu" if on_cpu else _gpu(device, 0))
    else:
        from accelerate import PartialState

        store = meet(rank, world)
        group = {"timeout": BARRIER_TIMEOUT, "rank": rank, "world_size": world}
        if not on_cpu:
            group["backend"] = GPU_BACKENDS
        state = PartialState(cpu=on_cpu, store=store, **group)
        own = "cpu" if on_cpu else _gpu(device, state.local_process_index)
        counted = PrefixStore("counted", store)
        found = Processes(state.process_index, state.num_processes, own, counted)
    if not on_cpu:
        torch.cuda.set_device(found.device)  # what is made without a word of where is there too
    return found


def refuse_crowded_gpus(device: str, processes: int) -> None:
    """UsageError for more processes on this machine than GPUs, where `device` means GPUs.

    For those that add up what lies there, which NCCL does with one process a GPU.
    """
    count = torch.cuda.device_count() if device != "cpu" and torch.cuda.is_available() else 0
    if count and processes > (1 if ":" in device else count):
        raise UsageError(
            f"{processes} processes can't train together on {count} GPUs: each needs one of its "
            f"own; lower --processes, or use --device cpu"
        )


def _refuse_unknown_gpu(device: str) -> None:
    count = torch.cuda.device_count()
    _, _, number = device.partition(":")
    if number and not (number.isdecimal() and int(number) < count):
        raise UsageError(
            f"device '{device}' was asked for, but torch finds {count} CUDA GPUs, from 0"
        )


def _gpu(device: str, local_rank: int) -> str:
    """The one that was asked for, or the machine's GPUs by turns."""
    return device if ":" in device else f"cuda:{local_rank % torch.cuda.device_count()}"


@contextmanager
def _losing_others() -> Iterator[None]:
    """RunError where a process has ended that this one waits for.

    Not at once: whatever ended it is to be said first, and mostly ends this one too; unless all are
    started again.
    """
    try:
        with waiting():
            yield
    except RuntimeError as error:
        if not may_restart():
            time.sleep(OTHERS_SPEAK_SECONDS)
        raise LostProcessError(
            "another process has ended, for which this one waited; what it had to say stands "
            f"above, or where it ran; {GOES_ON}"
        ) from error


def leave_processes() -> None:
    """Close the process group, so that torch has nothing to complain of at exit."""
    if torch.distributed.is_available() and torch.distributed.is_initialized():
        torch.distributed.destroy_process_group()
