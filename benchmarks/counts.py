"""Does anything depend on how many processes compute it, on how many machines, in whose folders?

    python benchmarks/counts.py
    python benchmarks/counts.py --items 96 --keep counts-work

A suite of sampled test images, sensitivity maps, added images and a row of every way is run by one
process. Then by two, three and four; by two machines (two agents of torchrun on this one) of two
processes each that see one run directory and one cache; and by two that have ones of their own.
Each is killed halfway, and others go on: with another count, or with the other machine as the main
one. A line says whether the records and all per-item values are then, byte by byte, those of the
one process. Exit status 1 where they are not.
"""

import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path

import click
import numpy as np
import psutil
from PIL import Image
from tabulate import tabulate

from fpmc_bench.harness.ledger import Ledger
from fpmc_bench.storage.cache import ENVIRONMENT_VARIABLE

sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))  # which say what records have alike

from runs import figures

IMAGES = 64
RUN = "run"
SUITE = """
schema_version = 1
name = "counts"
items = {items}
block_items = 2
seed = 5
dataset = {{name = "image-folder"}}
sigmas = {{steps = 4}}
teachers = {{tuning = "digits-ddpmpp", evaluation = "digits-ncsnpp"}}
sensitivity = {{samples = 2}}
[[entries]]
name = "optimal"
denoiser = "optimal"
[[entries]]
name = "wiener"
denoiser = "wiener"
[[entries]]
name = "els"
denoiser = "els"
params = {{patch_sizes = [15, 7, 3, 3]}}
[[entries]]
name = "pspc-flex"
denoiser = "pspc-flex"
params = {{thresholds = [1.0, 0.8, 0.5, 0.5]}}
[[entries]]
name = "optimal+synthetic"
denoiser = "optimal"
augmentations = [{{name = "synthetic", rate = 2.0}}]
"""


@dataclass(frozen=True)
class Layout:
    """Machines by name, the main one first, with so many processes each; one folder or theirs."""

    machines: str
    processes: tuple[int, ...]
    own: bool = False

    def __str__(self) -> str:
        counts = " + ".join(map(str, self.processes))
        if len(self.machines) == 1:
            return f"{counts} process{'es' * (counts != '1')}"
        whose = f"own folders, {self.machines[0]} first" if self.own else "shared folders"
        return f"two machines, {counts}, {whose}"

    def folder(self, root: Path, machine: str) -> Path:
        """Where a machine runs the command."""
        return root / (machine if self.own else "one")

    def run_dir(self, root: Path) -> Path:
        """That of the main process."""
        return self.folder(root, self.machines[0]) / RUN


TRIED = (
    (Layout("a", (2,)), Layout("a", (1,))),
    (Layout("a", (3,)), Layout("a", (2,))),
    (Layout("a", (4,)), Layout("a", (3,))),
    (Layout("ab", (2, 2)), Layout("a", (1,))),
    (Layout("ab", (2, 2), own=True), Layout("ab", (1, 2), own=True)),
    (Layout("ab", (1, 1), own=True), Layout("ba", (2, 1), own=True)),
)
"""A layout, and another that goes on where it was killed."""


@contextmanager
def started(layout: Layout, root: Path) -> Iterator[list[psutil.Popen]]:
    """A launcher a machine; whatever of them is left at the end is killed."""
    port = _free_port()
    launchers = []
    for rank, (machine, count) in enumerate(zip(layout.machines, layout.processes, strict=True)):
        folder = layout.folder(root, machine)
        folder.mkdir(parents=True, exist_ok=True)
        command = [sys.executable, "-m", "fpmc_bench", "run", str(root.parent / "counts.toml")]
        command += ["--data", f"image-folder={root.parent / 'images'}", "--run-dir", RUN]
        command += ["--device", "cpu", "--quiet"]
        if len(layout.machines) == 1:
            command += ["--processes", str(count)]
        else:
            agent = f"--nnodes {len(layout.machines)} --node-rank {rank} --nproc-per-node {count} "
            agent += f"--master-addr 127.0.0.1 --master-port {port}"
            command[1:2] = ["-m", "torch.distributed.run", *agent.split(), "-m"]
        environment = {**os.environ, "OMP_NUM_THREADS": "1"}
        environment[ENVIRONMENT_VARIABLE] = str(folder / "cache")
        launchers.append(
            psutil.Popen(
                command,
                cwd=folder,
                env=environment,
                stdout=subprocess.DEVNULL,
                stderr=(folder / "stderr.txt").open("ab"),
            )
        )
    try:
        yield launchers
    finally:
        _kill(launchers)


def _free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


def _kill(launchers: Sequence[psutil.Popen]) -> None:
    alive = [one for one in launchers if one.poll() is None]
    every = [*alive, *(child for one in alive for child in one.children(recursive=True))]
    for process in every:
        process.kill()
    psutil.wait_procs(every, timeout=30)


def run(layout: Layout, root: Path) -> None:
    """To its end; ClickException where that is none."""
    with started(layout, root) as launchers:
        for rank, one in enumerate(launchers):
            if status := one.wait():
                folder = layout.folder(root, layout.machines[rank])
                said = (folder / "stderr.txt").read_text(encoding="utf-8")
                raise click.ClickException(f"{layout} ended with status {status}:\n{said}")


def run_until_killed(layout: Layout, root: Path, units: int) -> None:
    """SIGKILL for all processes, once there are so many units; ClickException where it ended."""
    ledgers = [Ledger(layout.folder(root, name) / RUN / "ledger") for name in layout.machines]
    with started(layout, root) as launchers:
        while len(frozenset().union(*(one.names() for one in ledgers))) < units:
            if any(one.poll() is not None for one in launchers):
                raise click.ClickException(f"{layout} ended before it could be killed")
            time.sleep(0.01)


def prepare(folder: Path, items: int) -> None:
    """The suite, and images of noise."""
    (folder / "images").mkdir(parents=True)
    for number, image in enumerate(np.random.default_rng(0).integers(0, 256, (IMAGES, 8, 8))):
        Image.fromarray(image.astype(np.uint8)).save(folder / "images" / f"{number:03}.png")
    (folder / "counts.toml").write_text(SUITE.format(items=items), encoding="utf-8")


@click.command()
@click.option("--items", default=24, show_default=True, help="Items per protocol.")
@click.option("--keep", type=click.Path(path_type=Path), help="A new folder, left as it is then.")
def main(items: int, keep: Path | None) -> None:
    """Compare all of them with one process."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # and nothing is left running
    alone, table = Layout("a", (1,)), []
    with nullcontext(keep) if keep else tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch).absolute()
        prepare(folder, items)
        run(alone, folder / "alone")
        ledger = Ledger(alone.run_dir(folder / "alone") / "ledger")
        expected, half = figures(ledger.directory.parent), len(ledger.names()) // 2
        for number, (whole, other) in enumerate(TRIED):
            root = folder / str(number)
            run(whole, root)
            same = figures(whole.run_dir(root)) == expected
            table.append((str(whole), "", "yes" if same else "NO"))
            shutil.rmtree(root)
            run_until_killed(whole, root, half)
            run(other, root)
            same = figures(other.run_dir(root)) == expected
            table.append((str(whole), str(other), "yes" if same else "NO"))
    head = ("run by", "killed halfway, gone on with by", "as one process")
    click.echo(tabulate(table, head, tablefmt="github"))
    sys.exit(any(same == "NO" for *_, same in table))


if __name__ == "__main__":
    main()
