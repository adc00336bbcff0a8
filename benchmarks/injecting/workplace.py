"""Where runs are disturbed: a tiny suite that uses everything a run keeps, and folders for it.

Its images are pictures in a folder, which a run decodes, and there is no test split, so that a
network samples one; its rows fit a spectrum, ask for sensitivity maps, and make images. A run takes
some seconds, half of which Python needs to begin.
"""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from random import Random
from shutil import copytree
from typing import TypeVar

import numpy as np
from PIL import Image
from runs import environment, figures

from fpmc_bench import load_dataset
from fpmc_bench.storage.cache import ENVIRONMENT_VARIABLE

SUITE = """
schema_version = 1
name = "faults"
items = 6
block_items = 2
seed = 3
[dataset]
name = "image-folder"
[sigmas]
steps = 3
[teachers]
tuning = "digits-ddpmpp"
evaluation = "digits-ncsnpp"
[sensitivity]
samples = 2
[[entries]]
name = "optimal"
denoiser = "optimal"
[[entries]]
name = "wiener"
denoiser = "wiener"
[[entries]]
name = "ls+translate"
denoiser = "ls"
params = {patch_sizes = [15, 7, 3]}
augmentations = [{name = "translate", rate = 1.0}]
[[entries]]
name = "pspc-flex"
denoiser = "pspc-flex"
params = {thresholds = [1.0, 0.8, 0.5]}
"""
PICTURES = 120
PATIENCE_SECONDS = 300
"""For a run of some seconds, on a machine that does a lot beside."""

T = TypeVar("T")
U = TypeVar("U")


@dataclass(frozen=True)
class Done:
    """How a command ended, and what it said on stderr that an undisturbed run doesn't."""

    status: int
    said: tuple[str, ...]

    @property
    def message(self) -> str:
        return " ".join(self.said)


@dataclass(frozen=True)
class Case:
    """A run directory and a cache of their own, and commands that use them."""

    folder: Path
    suite: Path
    pictures: Path
    usual: frozenset[str] = frozenset()
    """Lines on stderr of an undisturbed run."""
    cached_at: Path | None = None
    """Where another case has its cache, to be used together."""

    @property
    def run_dir(self) -> Path:
        return self.folder / "run"

    @property
    def cache(self) -> Path:
        return self.cached_at or self.folder / "cache"

    def command(self, *more: str, processes: int = 1) -> list[str]:
        """`fpmc-bench run` of the suite, with more options."""
        return [
            *(sys.executable, "-m", "fpmc_bench", "run", str(self.suite)),
            *("--data", f"image-folder={self.pictures}", "--run-dir", str(self.run_dir)),
            *("--processes", str(processes), "--quiet", *more),
        ]

    def variables(self, *paths: Path) -> dict[str, str]:
        """Of such a command, with plugins of `paths`."""
        return {**environment(*paths), ENVIRONMENT_VARIABLE: str(self.cache)}

    def start(
        self, command: Sequence[str], variables: Mapping[str, str] | None = None
    ) -> subprocess.Popen[str]:
        """A process of its own, in a session of its own, and what it says on stderr."""
        return subprocess.Popen(
            list(command),
            cwd=self.folder,
            env=dict(variables or self.variables()),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )

    def ended(self, process: subprocess.Popen[str]) -> Done:
        """Once it has; subprocess.TimeoutExpired where it doesn't."""
        _, err = process.communicate(timeout=PATIENCE_SECONDS)
        lines = (line for line in err.splitlines() if line.strip() and line not in self.usual)
        return Done(process.returncode, tuple(lines))

    def run(self, *more: str, processes: int = 1) -> Done:
        """The command from its beginning to its end."""
        return self.ended(self.start(self.command(*more, processes=processes)))

    def results(self) -> dict[str, object]:
        """All that does not depend on time: records, per-item values, samples, trajectories."""
        if not (self.run_dir / "records").is_dir():
            return {}
        found = figures(self.run_dir)
        for path in sorted((self.run_dir / "samples").glob("*.npz")):
            with np.load(path) as file:
                found[path.name] = {name: file[name].tobytes() for name in file.files}
        return found

    def unfinished(self) -> list[Path]:
        """Files that were begun, and never came to their names."""
        folders = (self.run_dir, self.cache)
        return [path for folder in folders for path in folder.rglob(".*") if "partial" in path.name]


@dataclass(eq=False)
class Workplace:
    """The undisturbed run, which all others are compared with, and folders for new ones."""

    folder: Path
    seed: int = 0
    kills: int = 50
    """At random moments, of each number of processes."""
    times: int = 5
    """How often each fault is made that chance has a part in, but for kills."""
    _seconds: dict[int, float] = field(default_factory=dict)
    _cases: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock)

    @cached_property
    def undisturbed(self) -> Case:
        """A case whose run has ended, by one process."""
        (self.folder / "faults.toml").write_text(SUITE)
        write_pictures(self.folder / "pictures")
        return self._timed(1)

    @cached_property
    def results(self) -> dict[str, object]:
        """Of the undisturbed run."""
        return self.undisturbed.results()

    def seconds(self, processes: int) -> float:
        """That an undisturbed run takes by so many processes, with nothing in its cache."""
        if processes not in self._seconds and self.undisturbed and processes not in self._seconds:
            assert self._timed(processes).results() == self.results
        return self._seconds[processes]

    def case(self, *, of: "Case | None" = None, shares: Case | None = None) -> Case:
        """A new one, empty; or a copy `of` another's folders; or one that `shares` a cache."""
        with self._lock:
            self._cases += 1
            folder = self.folder / f"case-{self._cases}"
        usual = self.undisturbed.usual
        if of is not None:
            copytree(of.folder, folder, symlinks=True)
        folder.mkdir(exist_ok=True)
        return Case(
            folder,
            self.folder / "faults.toml",
            self.folder / "pictures",
            usual,
            shares.cache if shares else None,
        )

    def __post_init__(self) -> None:
        """Ctrl-C is none of a job's in the background, nor of what it starts: here it is."""
        signal.signal(signal.SIGINT, signal.default_int_handler)

    def random(self, what: object) -> Random:
        """A generator of its own for each thing that chance decides."""
        return Random(f"{self.seed}/{what}")

    def _timed(self, processes: int) -> Case:
        folder = self.folder / f"undisturbed-{processes}"
        folder.mkdir()
        case = Case(folder, self.folder / "faults.toml", self.folder / "pictures")
        started = time.monotonic()
        done = case.run(processes=processes)
        self._seconds[processes] = time.monotonic() - started
        assert done.status == 0, done.message
        return Case(folder, case.suite, case.pictures, frozenset(done.said))


def write_pictures(folder: Path) -> None:
    """Some of the training digits as PNG files, 8 px a side."""
    folder.mkdir()
    values = load_dataset("digits").train.values()[:PICTURES, 0]
    for number, codes in enumerate(((values + 1) * 127.5).round().byte().numpy()):
        Image.fromarray(codes).save(folder / f"{number:03}.png")


def side_by_side(do: Callable[[T], U], these: Iterable[T], processes: int = 1) -> list[U]:
    """Of all of these, as many at a time as the cores have room for."""
    lanes = max(1, (os.cpu_count() or 1) // processes)
    with ThreadPoolExecutor(lanes) as pool:
        return list(pool.map(do, these))
