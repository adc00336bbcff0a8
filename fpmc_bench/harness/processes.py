"""The processes of a run, through accelerate: who am I, how many are we, wait for the others.

Work units never communicate: ranks meet only at barriers between stages, so one rank that fails
can't leave the others hanging inside a collective.
"""

import logging
import os
import sys
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

import torch

from fpmc_bench.errors import UsageError

BARRIER_TIMEOUT = timedelta(days=7)
"""Ranks finish their shares at different times; the default of half an hour would kill a run."""


@dataclass(frozen=True)
class Processes:
    """This process (`rank`) among `world` equal ones, and the device it computes on."""

    rank: int
    world: int
    device: str

    @property
    def is_main(self) -> bool:
        return self.rank == 0

    def share(self, count: int) -> range:
        """The indices of `count` units that fall to this process."""
        return range(self.rank, count, self.world)

    def wait(self) -> None:
        """Return once every process has arrived here."""
        if self.world > 1:
            from accelerate import PartialState

            PartialState().wait_for_everyone()


def join_processes(device: str = "auto") -> Processes:
    """Join the processes started by accelerate or torchrun, or be the only one.

    `device`: auto (a GPU where there is one), cpu, cuda or cuda:N. UsageError for another one, and
    for a GPU where torch finds none.
    """
    cuda = torch.cuda.is_available()
    if device.startswith("cuda") and not cuda:
        raise UsageError(f"device '{device}' was asked for, but torch finds no CUDA GPU; use cpu")
    if not (device in ("auto", "cpu") or device.startswith("cuda")):
        raise UsageError(f"unknown device '{device}'; expected auto, cpu, cuda or cuda:N")
    on_cpu = device == "cpu" or not cuda
    if not on_cpu:
        refuse_tf32()
    if "WORLD_SIZE" not in os.environ:
        return Processes(0, 1, "cpu" if on_cpu else device.replace("auto", "cuda:0"))
    from accelerate import PartialState

    state = PartialState(cpu=on_cpu, timeout=BARRIER_TIMEOUT)
    return Processes(state.process_index, state.num_processes, str(state.device))


def refuse_tf32() -> None:
    """Let a GPU compute in float32 what is asked for in float32.

    torch allows cuDNN to round the factors of convolutions to TF32's ten bits unless it is told
    otherwise, which moves a teacher's output by about 1e-3.
    """
    torch.backends.cudnn.conv.fp32_precision = "ieee"  # type: ignore[attr-defined]
    torch.backends.cuda.matmul.fp32_precision = "ieee"


def leave_processes() -> None:
    """Close the process group, so that torch has nothing to complain of at exit."""
    if torch.distributed.is_available() and torch.distributed.is_initialized():
        torch.distributed.destroy_process_group()


def relaunch(processes: int, arguments: Sequence[str]) -> int:
    """Run `fpmc-bench ARGUMENTS` in that many local processes; returns the exit status."""
    from torch.distributed.elastic.multiprocessing.errors import ChildFailedError
    from torch.distributed.launcher.api import LaunchConfig, elastic_launch

    threads = max(1, (os.cpu_count() or 1) // processes)
    os.environ.setdefault("OMP_NUM_THREADS", str(threads))
    # the processes say themselves what went wrong
    logging.getLogger("torch.distributed.elastic").setLevel(logging.CRITICAL)
    config = LaunchConfig(
        min_nodes=1,
        max_nodes=1,
        nproc_per_node=processes,
        run_id=uuid.uuid4().hex,
        rdzv_backend="c10d",
        rdzv_endpoint="localhost:0",
        max_restarts=0,
    )
    try:
        elastic_launch(config, sys.executable)("-m", "fpmc_bench", *arguments)
    except ChildFailedError as error:
        return int(error.get_first_failure()[1].exitcode)
    return 0
