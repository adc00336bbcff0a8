"""How processes share a run when one of them is slow: the queue's time, and the ideal one.

    python benchmarks/sharing.py --items 500

Runs a suite by two processes, and again while one of them is stopped for three quarters of every
tenth of a second. What two equal processes do in a time T is 2 T of work; at 1 and 1/4 of the speed
the best that any sharing can do is 2 T / 1.25, and equal shares fixed at the start take 4 T. Only
the rows are timed, from the first unit's beginning to the last one's end: before them both are
equally fast in both runs. Needs two idle cores.
"""

import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import click
import psutil
from tabulate import tabulate

from fpmc_bench.harness.ledger import Ledger

PERIOD_SECONDS = 0.1
RUN = (sys.executable, "-m", "fpmc_bench", "run")


def rows_began(run: Path) -> bool:
    """Whether any unit of a row is there: the first that has errors."""
    ledger = Ledger(run / "ledger")
    return any("mse@1" in unit.arrays for key in ledger.names() if (unit := ledger.read(key)))


def seconds_of_rows(run: Path) -> float:
    """From the first row's first unit until the last is written, by the files' times."""
    ledger, times = Ledger(run / "ledger"), []
    for key in ledger.names():
        unit = ledger.required(key, "a unit")
        if "mse@1" in unit.arrays:
            written = (ledger.directory / f"{key}.npz").stat().st_mtime
            times.append((written - unit.note.seconds, written))
    return max(end for _, end in times) - min(begin for begin, _ in times)


@contextmanager
def slowed(process: psutil.Process, speed: float) -> Iterator[None]:
    """Within the block a process runs for this part of every period."""
    done = threading.Event()

    def hold() -> None:
        while not done.is_set():
            with suppress(psutil.NoSuchProcess):
                process.suspend()
                time.sleep(PERIOD_SECONDS * (1 - speed))
                process.resume()
            time.sleep(PERIOD_SECONDS * speed)

    holder = threading.Thread(target=hold)
    holder.start()
    try:
        yield
    finally:
        done.set()
        holder.join()


def second_worker(launcher: psutil.Process) -> psutil.Process:
    """The process that is not the main one."""
    while True:
        for child in launcher.children(recursive=True):
            with suppress(psutil.Error):
                if child.environ().get("RANK") == "1":
                    return child
        time.sleep(PERIOD_SECONDS)


def run_shared(suite: str, options: list[str], folder: Path, speed: float) -> float:
    """Seconds that the rows take by two processes, the second of which has this speed."""
    command = [*RUN, suite, *options, "--processes", "2", "--quiet", "--run-dir", str(folder)]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL) as started:
        try:
            worker = second_worker(psutil.Process(started.pid))
            while not rows_began(folder) and started.poll() is None:
                time.sleep(PERIOD_SECONDS)
            with slowed(worker, speed):
                status = started.wait()
        except BaseException:
            started.send_signal(signal.SIGTERM)
            raise
    if status:
        raise click.ClickException(f"the run ended with exit status {status}")
    return seconds_of_rows(folder)


@click.command()
@click.argument("suite", default="digits")
@click.option("--items", type=int, help="Items per protocol [default: the suite's].")
@click.option("--speed", default=0.25, show_default=True, help="Of the slow process.")
@click.option("-d", "--denoiser", multiple=True, help="Only these rows.")
def main(suite: str, items: int | None, speed: float, denoiser: tuple[str, ...]) -> None:
    """Two equal processes, then one that is slow, and what could be had at best."""
    options = [text for one in denoiser for text in ("-d", one)]
    options += ["--items", str(items)] if items else []
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    with tempfile.TemporaryDirectory() as scratch:
        equal = run_shared(suite, options, Path(scratch) / "equal", 1.0)
        slow = run_shared(suite, options, Path(scratch) / "slow", speed)
    ideal, fixed = 2 * equal / (1 + speed), equal / speed
    table = [
        ["two equal processes", equal, 1.0],
        [f"one at {speed:g} of the speed: ideal", ideal, 1.0],
        ["the queue", slow, slow / ideal],
        ["equal shares, fixed at the start (by arithmetic)", fixed, fixed / ideal],
    ]
    click.echo(tabulate(table, ["rows", "seconds", "of the ideal"], floatfmt=("", ".1f", ".2f")))


if __name__ == "__main__":
    main()
