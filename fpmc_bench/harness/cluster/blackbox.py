"""What a process is at, kept where it outlives the process.

While code of a row runs (its plugin is checked, its denoiser built, its items computed) a file, the
box of this process, names the row. faulthandler adds a traceback where the interpreter crashes, or
where the work takes too long, also in compiled code that holds Python's lock, and ends the process
then. `harness/cluster/endings.py` reads the boxes of processes that are gone.

There are boxes where somebody starts processes again, and so has a use for them: our launcher, or
torch's elastic agent.
"""

import faulthandler
import json
import os
import shutil
import tempfile
from collections.abc import Collection, Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path

import psutil

from fpmc_bench.errors import UsageError
from fpmc_bench.interruptions import Stopped, at_any_end
from fpmc_bench.launched import BOXES, may_restart
from fpmc_bench.storage.temporary import this_host

SUFFIX = ".box"
STOPPED = b"\nstopped\n"
"""In a box: it was told to end."""


@dataclass(frozen=True)
class At:
    """What a process is at, and whose code that is."""

    rows: tuple[str, ...]
    """Those that fail where it ends the process; none where it is nobody's own."""
    what: str
    """As "its denoiser was built"."""
    limit_s: float | None = None


@dataclass(frozen=True)
class BlackBox:
    """The box of this process, by its descriptor; None: nobody would read it.

    `limit_s`: the longest that anything of a row may take.
    """

    file: int | None = None
    limit_s: float | None = None

    @contextmanager
    def at(self, rows: Collection[str], what: str) -> Iterator[None]:
        """Around work: named in the box meanwhile, and ended with the process after `limit_s`.

        A signal that ends the process is noted: whoever sent it knows.
        """
        if self.file is None:
            yield
            return
        limit_s, process = self.limit_s if rows else None, os.getpid()
        os.ftruncate(self.file, 0)
        os.write(self.file, json.dumps(asdict(At(tuple(rows), what, limit_s))).encode() + b"\n")
        if limit_s is not None:
            faulthandler.dump_traceback_later(limit_s, exit=True, file=self.file)
        told_to_end = False
        try:
            with at_any_end(partial(os.write, self.file, STOPPED)):
                yield
        except (Stopped, KeyboardInterrupt):
            told_to_end = True
            raise
        finally:
            if os.getpid() == process:  # else it was forked within, and the box is its parent's
                faulthandler.cancel_dump_traceback_later()
                if not told_to_end:
                    os.ftruncate(self.file, 0)


_own = BlackBox()
"""Of this process: faulthandler writes to one file a process."""


def open_box() -> None:
    """Give this process a box, where somebody would read it."""
    global _own
    folder = folder_of_boxes()
    if folder is None or _own.file is not None:
        return
    path = folder / f"{identity_of(os.getpid())}{SUFFIX}"
    # appended to: faulthandler knows nothing of what was written and emptied before
    file = os.open(path, os.O_CREAT | os.O_RDWR | os.O_APPEND, 0o600)
    faulthandler.enable(file=file)
    _own = BlackBox(file)


def close_box() -> None:
    """The work is done, or was dropped; under torchrun the last of them leaves nothing."""
    global _own
    folder = folder_of_boxes()
    if _own.file is None or folder is None:
        return
    faulthandler.disable()
    os.close(_own.file)
    _own = BlackBox()
    for box in folder.glob(f"{os.getpid()}-*{SUFFIX}"):
        if box.stat().st_size == 0:
            box.unlink()
    if BOXES not in os.environ and not any(is_alive(box.stem) for box in folder.glob(f"*{SUFFIX}")):
        shutil.rmtree(folder, ignore_errors=True)


def identity_of(process: int) -> str:
    """A name of a process of this machine that no later one has."""
    return f"{process}-{psutil.Process(process).create_time():.2f}"


def is_alive(identity: str) -> bool:
    """Whether a process goes on that `identity_of` has named."""
    process = identity.partition("-")[0]
    with suppress(psutil.NoSuchProcess, ValueError):
        return identity_of(int(process)) == identity
    return False


def box_of_process(limit_s: float | None = None) -> BlackBox:
    """That which `open_box` has opened, with a limit; one that nobody reads where it has not.

    UsageError for a limit there: to end this process would end the whole command.
    """
    if limit_s is not None and _own.file is None:
        raise UsageError(
            "what takes longer than --unit-timeout is ended with its process, and nobody would "
            "start this one again: leave --no-isolate out, give torchrun --max-restarts, or from "
            "Python call the command, fpmc-bench run --unit-timeout"
        )
    return BlackBox(_own.file, limit_s)


def folder_of_boxes() -> Path | None:
    """For all processes of this machine that one launcher has started; None where none has.

    Not in the run directory, which is known only once plugins were checked, and may be far away.
    """
    if ours := os.environ.get(BOXES):
        return Path(ours)
    if not may_restart():
        return None
    # torchrun's own name of a launch is "none" by itself
    own = f"fpmc-bench-{this_host()}-{os.getuid()}-"
    temporary = Path(tempfile.gettempdir())
    for left in temporary.glob(f"{own}*"):
        if not is_alive(left.name.removeprefix(own)):
            shutil.rmtree(left, ignore_errors=True)  # of a launch that is over
    folder = temporary / f"{own}{identity_of(os.getppid())}"
    folder.mkdir(mode=0o700, exist_ok=True)
    return folder if folder.stat().st_uid == os.getuid() else None
