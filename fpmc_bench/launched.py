"""Whether this process is one of several, as the variables of a launcher say. Needs no torch."""

import os
import signal
import threading
import time

from fpmc_bench.errors import UsageError

VARIABLES = ("RANK", "WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT")
OURS = "FPMC_BENCH_LAUNCHER"
"""Set for the processes of `--processes`: the id of the process that has started them."""
BOXES = "FPMC_BENCH_BOXES"
"""Set for the same: the folder in which they note what they are at."""
ELASTIC, RESTARTS = "TORCHELASTIC_RUN_ID", "TORCHELASTIC_MAX_RESTARTS"
"""Set by torchrun and accelerate launch: that it was they, and how often they start anew."""
WATCH_SECONDS = 0.5
OTHERS_SPEAK_SECONDS = 8
"""For a process that failed, or its launcher, to say so and to end the others."""
UNSET = "where a scheduler has left these variables, unset them (env -u RANK -u WORLD_SIZE ...)"

_exit = os._exit  # while a stranger's code runs, that of `os` is another


def is_main() -> bool:
    """Whether this process speaks for all: it is the first, or the only one."""
    return os.environ.get("WORLD_SIZE", "1") == "1" or os.environ.get("RANK", "0") == "0"


def launched() -> tuple[int, int]:
    """(rank, world) as a launcher says them; (0, 1) without one.

    UsageError where RANK and WORLD_SIZE are there, but not all that it takes to meet the others.
    """
    if os.environ.get("WORLD_SIZE", "1") == "1":
        return 0, 1
    given = {name: os.environ.get(name, "") for name in VARIABLES}
    said = " ".join(f"{name}={value}" for name, value in given.items() if value)
    if missing := [name for name, value in given.items() if not value]:
        raise UsageError(
            f"the environment says that this is one of several processes ({said}), but not how "
            f"they meet (no {', '.join(missing)}); start them by torchrun, accelerate launch or "
            f"--processes; {UNSET}"
        )
    numbers = [given[name] for name in ("RANK", "WORLD_SIZE", "MASTER_PORT")]
    if not all(number.isdecimal() for number in numbers) or int(numbers[0]) >= int(numbers[1]):
        raise UsageError(
            f"the environment says {said}; expected whole numbers, RANK from 0 and below "
            f"WORLD_SIZE; {UNSET}"
        )
    return int(numbers[0]), int(numbers[1])


def is_ours() -> bool:
    """Whether `--processes` has started this process."""
    return os.environ.get(OURS, str(os.getpid())) != str(os.getpid())


def speaks(stopped_by: signal.Signals) -> bool:
    """Whether this process says that a signal has ended it, and nobody else does.

    Of several the main one does, unless their launcher is ours. Where torchrun may start them again
    SIGTERM says nothing: it is how they are stopped for that.
    """
    return is_main() and not is_ours() and not (may_restart() and stopped_by == signal.SIGTERM)


def is_elastic() -> bool:
    """Whether torchrun, or accelerate launch, has started this process."""
    return ELASTIC in os.environ


def may_restart() -> bool:
    """Whether they start it again where one of the processes has ended."""
    return is_elastic() and os.environ.get(RESTARTS, "0") != "0"


def follow_launcher() -> None:
    """In a process of a launcher on this machine: end soon after it, whatever ended it."""
    if not is_ours() and not is_elastic():
        return
    parent = int(os.environ.get(OURS) or os.getppid())

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(WATCH_SECONDS)
        _exit(1)  # nobody is left to wait for a better status

    threading.Thread(target=watch, daemon=True).start()
