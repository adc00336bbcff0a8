"""One step of fine-tuning at a given size: its time and the memory it takes, each in a new process.

    python benchmarks/finetune_step.py --side 32 --batch 8 --images 10000 50000

M = side^2 estimators, precisions and responses shared by channels, both learned. The source is
random bytes: neither time nor memory depends on what is in the images.
"""

import json
import subprocess
import sys
import time
from pathlib import Path

import click
import torch
from tabulate import tabulate

from fpmc_bench import Source
from fpmc_bench.engine.gradient import Comparison, soft_posterior


@click.command()
@click.option("--side", "side_px", default=32, show_default=True, help="Of RGB images, in pixels.")
@click.option("--batch", default=8, show_default=True, help="Noisy images.")
@click.option("--images", multiple=True, type=int, default=(10_000, 50_000), show_default=True)
@click.option("--budget-mib", default=1024, show_default=True, help="Beside the source.")
@click.option("--threads", default=2, show_default=True)
@click.option("--one", is_flag=True, hidden=True)
def main(
    side_px: int, batch: int, images: tuple[int, ...], budget_mib: int, threads: int, one: bool
) -> None:
    """Print a table: seconds a step, microseconds a (query, image) pair, peak resident MiB."""
    if one:
        torch.set_num_threads(threads)
        click.echo(json.dumps(measure(side_px, batch, images[0], budget_mib * 2**20)))
        return
    rows = []
    for count in images:
        command = [sys.executable, __file__, "--one", "--side", str(side_px), "--batch", str(batch)]
        command += ["--images", str(count), "--budget-mib", str(budget_mib)]
        command += ["--threads", str(threads)]
        done = subprocess.run(command, check=True, capture_output=True, text=True)
        found = json.loads(done.stdout)
        seconds, peak = found["seconds"], found["peak_mib"]
        pair = 1e6 * seconds / (count * batch)
        rows.append([count, batch, seconds, pair, peak, peak - found["source_mib"]])
    headers = ["images", "batch", "s / step", "us / pair", "peak MiB", "less the source"]
    click.echo(tabulate(rows, headers=headers, floatfmt=("d", "d", ".3g", ".3g", ".0f", ".0f")))


def measure(side_px: int, batch: int, images: int, budget_bytes: int) -> dict[str, float]:
    """Of a value and its gradients; the peak is that of the whole process."""
    generator = torch.Generator().manual_seed(0)
    shape = (images, 3, side_px, side_px)
    codes = torch.randint(0, 256, shape, dtype=torch.uint8, generator=generator)
    source, pixels = Source(codes), side_px**2
    queries = source.chunk(0, batch, "cpu", torch.float32)[0]
    queries = queries + torch.randn(queries.shape, generator=generator)
    rows = torch.arange(batch, images)
    log_q, log_r = (
        (0.1 * torch.randn(pixels, pixels, generator=generator)).requires_grad_() for _ in range(2)
    )

    def step() -> None:
        comparison = Comparison(source, rows, queries, 1.0, budget_bytes)
        soft_posterior(log_q.exp(), log_r.exp(), comparison).square().mean().backward()

    started = time.perf_counter()
    step()
    seconds = time.perf_counter() - started
    status = Path("/proc/self/status").read_text().splitlines()
    peak = int(next(line for line in status if line.startswith("VmHWM:")).split()[1]) / 1024
    return {"seconds": seconds, "peak_mib": peak, "source_mib": codes.nbytes / 2**20}


if __name__ == "__main__":
    main()
