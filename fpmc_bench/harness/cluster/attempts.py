"""Whether a command begins, or its launcher has started it again after one of its processes ended.

What has failed is tried again by who gives a command again, and not by a launcher; nor does --fresh
discard then what the same command has finished.
"""

import os
from itertools import count
from pathlib import Path

import psutil

from fpmc_bench.launched import is_elastic, is_ours
from fpmc_bench.storage.atomic import write_atomically
from fpmc_bench.storage.temporary import this_host

NOTE = ".launch"

_begun = count(1)
"""Of this process: a script may begin several runs, and begins them alike when it starts again."""


def begins(folder: Path) -> bool:
    """Whether this is a new attempt at what a folder holds, and no other of the same launch.

    Asked once by whoever opens it: a launch is known by its launcher, by a note in the folder.
    """
    if not is_ours() and not is_elastic():
        return True
    launcher = psutil.Process(os.getppid())  # its own name of a launch may be that of the last one
    own = f"{this_host()} {launcher.pid} {launcher.create_time():.2f} {next(_begun)}"
    note = folder / NOTE
    if note.is_file() and note.read_text(encoding="utf-8", errors="replace") == own:
        return False
    write_atomically(note, own.encode())
    return True
