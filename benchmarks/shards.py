"""How the memory of a process falls where several hold a source together (`run --shard-source`).

    python benchmarks/shards.py --data cifar10-32x32.zip --images 50000 --processes 1,2,4

Each process maps the images from one file, and all evaluate the same queries together: a process
reads the images of its own part. Of the process that has most a line says how much of the file it
has in memory in the end, and its peak resident memory, with interpreter, torch and these pages;
and how far answers are from those of one process. Without --data the images are smooth random ones,
32 x 32 RGB.
"""

import json
import os
import re
import socket
import subprocess
import sys
import tempfile
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import click
import torch
from images import edm_images, random_images
from scaling import METHODS, model_of, peak_resident_bytes
from tabulate import tabulate

from fpmc_bench import Source
from fpmc_bench.engine import fpmc_denoise
from fpmc_bench.fpmc.shapes import ImageShape
from fpmc_bench.harness.cluster.processes import join_processes, leave_processes
from fpmc_bench.harness.cluster.shards import Shards

SIGMA = 0.6


def measure(
    file: Path, shape: ImageShape, images: int, queries: int, budget_mib: int, method: str
) -> None:
    """In one of the processes: print what it measured; the first leaves the answer beside them."""
    processes = join_processes("cpu")
    shards = Shards(processes.rank, processes.world, processes.reduced, processes.gather)
    count = images * shape.dimensions
    mapped = torch.from_file(str(file), size=count, dtype=torch.uint8).reshape(images, *shape)
    source, model = Source(mapped), model_of(method, shape)
    noise = torch.randn(queries, *shape, generator=torch.Generator().manual_seed(0))
    z = source.to_values(mapped[:queries], torch.float32) + SIGMA * noise
    fpmc_denoise(model, Source(mapped[:64]), z, SIGMA)  # warms up
    with nullcontext() if processes.world == 1 else shards.unit("all queries"):
        answer = fpmc_denoise(model, source, z, SIGMA, budget_bytes=budget_mib * 2**20)
    if processes.is_main:
        torch.save(answer, answer_file(file, processes.world))
    print(json.dumps({"peak": peak_resident_bytes(), "pages": pages_bytes(file)}))
    processes.wait()
    leave_processes()


def pages_bytes(file: Path) -> int:
    """Of a mapped file, in the memory of this process, on Linux."""
    maps = Path("/proc/self/smaps").read_text()
    own = re.findall(rf"{re.escape(str(file))}\n(?:\w+:.*\n)*?Rss: +(\d+) kB", maps)
    return 1024 * sum(map(int, own))


def answer_file(file: Path, world: int) -> Path:
    """What so many processes found."""
    return file.with_suffix(f".{world}.pt")


def measured(world: int, described: str) -> list[dict[str, Any]]:
    """What each of `world` processes prints."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    common = {"WORLD_SIZE": str(world), "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
    running = [
        subprocess.Popen(
            [sys.executable, __file__, "--one", described],
            env={**os.environ, **common, "RANK": str(rank), "LOCAL_RANK": str(rank)},
            stdout=subprocess.PIPE,
            text=True,
        )
        for rank in range(world)
    ]
    outputs = [process.communicate()[0] for process in running]
    if any(process.returncode for process in running):
        raise SystemExit(1)
    return [json.loads(output) for output in outputs]


@click.command()
@click.option("--data", type=click.Path(exists=True, path_type=Path), help="An EDM-layout zip.")
@click.option("--images", default=50_000, show_default=True)
@click.option("--queries", default=8, show_default=True)
@click.option("--processes", "worlds", default="1,2,4", show_default=True)
@click.option("--only", default="optimal,ls,pspc-flex", show_default=True, help="Methods.")
@click.option("--budget-mib", default=256, show_default=True, help="Of each, for working arrays.")
@click.option("--one", hidden=True, help="What a process is started for.")
def main(
    data: Path | None,
    images: int,
    queries: int,
    worlds: str,
    only: str,
    budget_mib: int,
    one: str | None,
) -> None:
    """Print a table: a line a method and number of processes, with the memory of one of them."""
    if one:
        place, *numbers, method = one.split(",")
        channels, height, width, count, batch, budget = map(int, numbers)
        measure(Path(place), ImageShape(channels, height, width), count, batch, budget, method)
        return
    if unknown := [method for method in only.split(",") if method not in METHODS]:
        raise click.UsageError(f"unknown methods {unknown}; expected some of {list(METHODS)}")
    values = edm_images(data, images) if data else random_images(images, 32)
    shape = ImageShape(*values.shape[1:])
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "images.bin"
        file.write_bytes(values.numpy().tobytes())
        for method in only.split(","):
            first = None
            for world in map(int, worlds.split(",")):
                asked = (*shape, len(values), queries, budget_mib)
                found = measured(world, f"{file},{','.join(map(str, asked))},{method}")
                answer = torch.load(answer_file(file, world))
                first = answer if first is None else first
                pages, peak = (
                    max(process[name] for process in found) for name in ("pages", "peak")
                )
                megabytes = [f"{number / 2**20:.0f}" for number in (pages, peak, peak - pages)]
                apart = f"{float((answer - first).abs().max()):.1e}"
                rows.append([method, world, *megabytes, apart])
                click.echo(" ".join(map(str, rows[-1])), err=True)
    headers = ["method", "processes", "images MiB", "peak MiB", "beside them MiB"]
    headers.append("from one process")
    click.echo(tabulate(rows, headers=headers, tablefmt="github", disable_numparse=True))


if __name__ == "__main__":
    main()
