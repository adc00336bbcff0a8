"""--processes: the same command in several local processes, and a line on how they ended."""

import logging
import os
import signal
import sys
import uuid
from collections.abc import Sequence
from dataclasses import dataclass

from fpmc_bench.interruptions import GOES_ON, Stopped, handle_signals, keeping
from fpmc_bench.launched import OURS

PATIENCE_SECONDS = 8.5
"""For processes that were told to stop, which give themselves less."""


@dataclass(frozen=True)
class Ended:
    """The first of several processes that did not do its work."""

    rank: int
    status: int
    """As Python has it: an exit status, or minus the number of the signal that ended it."""


def relaunch(processes: int, arguments: Sequence[str], kept: str = GOES_ON) -> int:
    """Run `fpmc-bench ARGUMENTS` in that many local processes; returns the exit status.

    Where one is killed or crashes the others are ended, and a line on stderr says so and what
    becomes of finished work (`kept`). Where this process is told to stop, it ends with all of them.
    """
    threads = max(1, (os.cpu_count() or 1) // processes)
    os.environ.setdefault("OMP_NUM_THREADS", str(threads))
    os.environ[OURS] = str(os.getpid())
    logging.disable()  # the processes, and the lines below, say what went wrong
    with keeping(kept, PATIENCE_SECONDS):
        ended = run_processes(processes, arguments)
    if ended is None:
        return 0
    return _told(f"process {ended.rank} of {processes}", ended.status, kept)


def run_processes(processes: int, arguments: Sequence[str]) -> Ended | None:
    """Start them and wait; once one has failed the others are stopped. None where none has.

    Raises `Stopped` where this process is told to stop: they are stopped then.
    """
    from torch.distributed.elastic.multiprocessing.api import SignalException
    from torch.distributed.elastic.multiprocessing.errors import ChildFailedError
    from torch.distributed.launcher.api import LaunchConfig, elastic_launch

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
        rank, failure = error.get_first_failure()
        return Ended(rank, failure.exitcode)
    except SignalException as error:
        raise Stopped(error.sigval) from None
    finally:
        handle_signals()  # which torch did meanwhile
    return None


def _told(process: str, status: int, kept: str = GOES_ON) -> int:
    """The exit status of a run whose process ended with `status`; said where that could not."""
    if status in (1, 2):
        return status
    if status > 0:
        _say(f"{process} ended with exit status {status}, without a word; {kept}")
        return 1
    name = signal.Signals(-status).name
    advice = kept
    if name == "SIGKILL":
        advice += "; where memory was short, take fewer --processes or a smaller --memory-budget"
    _say(f"{process} was ended by {name}; the others were stopped; {advice}")
    return 1


def _say(text: str) -> None:
    print(f"fpmc-bench: {text}", file=sys.stderr)
