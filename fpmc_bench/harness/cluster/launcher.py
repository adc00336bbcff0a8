"""--processes: the same command in several local processes, and a line on how they ended.

Where a row has ended one of them all are started again, without that row.
"""

import logging
import os
import signal
import subprocess
import sys
import uuid
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import psutil

from fpmc_bench.harness.cluster.endings import Ending, blamed, endings, failed_line, note_statuses
from fpmc_bench.interruptions import GOES_ON, Stopped, handle_signals, keeping
from fpmc_bench.launched import BOXES, OURS
from fpmc_bench.storage.temporary import temporary_folder

PATIENCE_SECONDS = 8.5
"""For processes that were told to stop, which give themselves less."""


@dataclass(frozen=True)
class Ended:
    """How processes ended: the first that did not do its work, if any, and all that ended so."""

    rank: int = 0
    status: int = 0
    """As Python has it: an exit status, or minus the number of the signal that ended it."""
    statuses: Mapping[int, int] = field(default_factory=dict)
    """Process id -> status."""


def relaunch(processes: int, arguments: Sequence[str], kept: str = GOES_ON) -> int:
    """Run `fpmc-bench ARGUMENTS` in that many local processes; returns the exit status.

    Where one is killed or crashes the others are ended, and a line on stderr says so and what
    becomes of finished work (`kept`); all are started again where that was one row's fault. Where
    this process is told to stop, it ends with all of them.
    """
    if processes > 1:
        threads = max(1, (os.cpu_count() or 1) // processes)
        os.environ.setdefault("OMP_NUM_THREADS", str(threads))
        logging.disable()  # the processes, and the lines below, say what went wrong
    os.environ[OURS] = str(os.getpid())
    with keeping(kept, PATIENCE_SECONDS), temporary_folder() as folder:
        os.environ[BOXES] = str(folder)
        ended, left = _until_done(processes, arguments, folder)
    if ended.status == 0:
        return 0
    for one in left:
        print(one.report, file=sys.stderr)
    if processes == 1:
        return _told("the process at work", ended.status, kept, alone=True)
    return _told(f"process {ended.rank} of {processes}", ended.status, kept)


def _until_done(
    processes: int, arguments: Sequence[str], folder: Path
) -> tuple[Ended, list[Ending]]:
    """Start processes, and again as often as they were ended by one row more; how it ended at last.

    `folder` is that of their boxes.
    """
    seen: list[Ending] = []
    while True:
        ended = run_processes(processes, arguments)
        _end_left_behind(folder)
        note_statuses(folder, ended.statuses)
        new = [one for one in endings(folder) if one not in seen]
        if not any(one.at.rows for one in new):
            return ended, new
        before, seen = blamed(seen), [*seen, *new]
        failed = blamed(seen)
        for row in [row for row in failed if row not in before]:
            _say(failed_line(row, failed[row]))
        for one in new:
            if again := [row for row in one.at.rows if row not in failed]:
                _say(f"{one.reason}; {' and '.join(again)} is tried once more")


def run_processes(processes: int, arguments: Sequence[str]) -> Ended:
    """Start them and wait; once one has failed the others are stopped.

    Raises `Stopped` where this process is told to stop: they are stopped then.
    """
    if processes == 1:
        return _run_one(arguments)
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
        rank, first = error.get_first_failure()
        statuses = {failure.pid: failure.exitcode for failure in error.failures.values()}
        return Ended(rank, first.exitcode, statuses)
    except SignalException as error:
        raise Stopped(error.sigval) from None
    finally:
        handle_signals()  # which torch did meanwhile
    return Ended()


def _run_one(arguments: Sequence[str]) -> Ended:
    """The same for one, which needs no agent, and so no torch here."""
    process = subprocess.Popen(
        [sys.executable, "-m", "fpmc_bench", *arguments], start_new_session=True
    )
    try:
        status = process.wait()
    except Stopped as stopped:
        process.send_signal(stopped.signal)
        process.wait()
        raise
    return Ended(0, status, {process.pid: status})


def _end_left_behind(folder: Path) -> None:
    """What processes that are gone had started: it would hold the run directory, or a pipe."""
    for process in psutil.process_iter():
        with suppress(psutil.Error):
            ours = os.getpid() in (process.pid, process.ppid())
            if not ours and process.environ().get(BOXES) == str(folder):
                process.kill()


def _told(process: str, status: int, kept: str = GOES_ON, *, alone: bool = False) -> int:
    """The exit status of a run whose process ended with `status`; said where that could not."""
    if status in (1, 2):
        return status
    if status > 0:
        _say(f"{process} ended with exit status {status}, without a word; {kept}")
        return 1
    name = signal.Signals(-status).name
    others = "" if alone else "; the others were stopped"
    advice = ""
    if name == "SIGKILL":
        fewer = "" if alone else "fewer --processes or "
        advice = f"; where memory was short, take {fewer}a smaller --memory-budget"
    _say(f"{process} was ended by {name}{others}; {kept}{advice}")
    return 1


def _say(text: str) -> None:
    bar = "\r\033[K" if sys.stderr.isatty() else ""  # which a process may have left unfinished
    print(f"{bar}fpmc-bench: {text}", file=sys.stderr)
