"""What becomes of reading a damaged file: it is read, or refused by name, or something is wrong."""

import io
import logging
import time
import tracemalloc
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stderr
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from fpmc_bench.errors import FpmcBenchError
from fuzzing.damage import damaged, seeded

Outcome = Literal["read", "refused", "other error", "too large", "too long"]
MOST_SECONDS = 30.0


@dataclass(frozen=True)
class Loader:
    """Something of fpmc_bench that reads files.

    `write` makes sound ones in an empty folder and returns those to damage. `read` of one of them
    raises FpmcBenchError, or returns None for what is "not there". `most_bytes` of memory may be
    held at once, of what Python and numpy allocate: what the sound file takes, and some room.
    """

    name: str
    write: Callable[[Path], list[Path]]
    read: Callable[[Path], Any]
    most_bytes: int = 2**26


@dataclass(frozen=True)
class Trial:
    """One damaged file, and what became of it. `said` is an error's text, or what was too much."""

    number: int
    outcome: Outcome
    said: str
    file: str
    content: bytes
    peak_bytes: int

    @property
    def wrong(self) -> bool:
        return self.outcome not in ("read", "refused")


def trials(loader: Loader, folder: Path, seed: int, numbers: range) -> Iterator[Trial]:
    """Damage one of the loader's files for each number, read it, and put it right again.

    RuntimeError where it can't even read its sound files.
    """
    folder.mkdir(parents=True, exist_ok=True)
    sound = {path: path.read_bytes() for path in loader.write(folder)}
    for path in sound:
        _outcome(loader, path)  # the first time imports modules
        outcome, said, _ = _read(loader, path)
        if outcome != "read":
            raise RuntimeError(f"{loader.name}: sound files are not read: {outcome}, {said}")
    for number in numbers:
        draw = seeded(seed, loader.name, number)
        path = draw.choice(sorted(sound))
        content = damaged(sound[path], draw)
        path.write_bytes(content)
        outcome, said, peak = _read(loader, path)
        yield Trial(number, outcome, said, path.name, content, peak)
        for one, whole in sound.items():  # a loader may have mended or removed its file
            if not one.is_file() or one.read_bytes() != whole:
                one.write_bytes(whole)


def _read(loader: Loader, path: Path) -> tuple[Outcome, str, int]:
    tracemalloc.start()
    started = time.perf_counter()
    outcome, said = _outcome(loader, path)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    seconds = time.perf_counter() - started
    if outcome in ("read", "refused") and peak > loader.most_bytes:
        return "too large", f"{peak} bytes, at most {loader.most_bytes}", peak
    if outcome in ("read", "refused") and seconds > MOST_SECONDS:
        return "too long", f"{seconds:.0f} s, at most {MOST_SECONDS:.0f}", peak
    return outcome, said, peak


def _outcome(loader: Loader, path: Path) -> tuple[Outcome, str]:
    try:
        with _quiet():
            found = loader.read(path)
    except FpmcBenchError as error:
        return "refused", str(error)[:2000]
    except Exception as error:  # what this is here to find
        return "other error", f"{type(error).__name__}: {str(error)[:300]}"
    return ("refused", "not there") if found is None else ("read", "")


@contextmanager
def _quiet() -> Iterator[None]:
    """Without what is said of a file on the way: it is the outcome that counts."""
    logging.disable(logging.CRITICAL)
    try:
        with warnings.catch_warnings(), redirect_stderr(io.StringIO()):
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(logging.NOTSET)
