"""How time and memory grow with the source: every method over more and more images.

    python benchmarks/scaling.py --data cifar10-32x32.zip --images 2000,10000,50000

Each figure comes from a process of its own, which maps the images from a file, evaluates once to
warm up and once to be timed, and reports its peak resident memory: interpreter, torch, and the
pages of the mapped file included. Without --data the images are smooth random ones, 32 x 32 RGB.
"""

import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import click
import torch
from images import edm_images, random_images
from tabulate import tabulate
from torch import Tensor

from fpmc_bench import FPMC, Source
from fpmc_bench.engine import fpmc_denoise
from fpmc_bench.fpmc import PixelMasks, PixelOneHot, Separable, Translations, Uniform
from fpmc_bench.fpmc.shapes import ImageShape
from fpmc_plugins.denoisers.geometry import inner_windows
from fpmc_plugins.denoisers.ls import squares

METHODS = ("optimal", "ls", "els", "pspc-square", "pspc-flex")
MASK_PIXELS = 80


def model_of(method: str, shape: ImageShape) -> FPMC:
    """One collection of each structure: sides of 5 pixels, masks of 80."""
    _, height, width = shape
    if method == "optimal":
        return FPMC(Uniform(shape), Uniform(shape))
    if method == "pspc-square":
        windows = inner_windows(height, 5), inner_windows(width, 5)
        return FPMC(Separable(shape, *windows), Separable(shape, *windows))
    if method == "pspc-flex":
        masks = PixelMasks(shape, blobs(shape))
        return FPMC(masks, masks)
    translations = Translations(5) if method == "els" else None
    return FPMC(squares(shape, 5), PixelOneHot(shape), translations)


def blobs(shape: ImageShape) -> Tensor:
    """The 80 pixels nearest to each pixel, distances roughened: what sensitivity masks are like."""
    _, height, width = shape
    pixels = torch.cartesian_prod(torch.arange(height), torch.arange(width)).double()
    rough = 1 + torch.rand(len(pixels), len(pixels), generator=torch.Generator().manual_seed(0))
    nearest = (torch.cdist(pixels, pixels) * rough).argsort(1)[:, :MASK_PIXELS]
    masks = torch.zeros(len(pixels), len(pixels), dtype=torch.bool).scatter(1, nearest, True)
    return masks.reshape(-1, height, width)


def measure(file: Path, shape: ImageShape, images: int, queries: int, method: str) -> None:
    """In a process of its own: print seconds, and peak resident memory in bytes."""
    count = images * shape.dimensions
    mapped = torch.from_file(str(file), size=count, dtype=torch.uint8).reshape(images, *shape)
    source, model = Source(mapped), model_of(method, shape)
    noise = torch.randn(queries, *shape, generator=torch.Generator().manual_seed(0))
    z = source.to_values(mapped[:queries], torch.float32) + 0.6 * noise
    few = Source(mapped[: min(images, 64)])
    fpmc_denoise(model, few, z, 0.6)  # warms up
    started = time.perf_counter()
    fpmc_denoise(model, source, z, 0.6)
    seconds = time.perf_counter() - started
    print(json.dumps({"seconds": seconds, "peak_bytes": peak_resident_bytes()}))


def measure_described(text: str) -> None:
    """As `measure`, of FILE,C,H,W,N,B,METHOD."""
    file, channels, height, width, images, queries, method = text.split(",")
    shape = ImageShape(int(channels), int(height), int(width))
    measure(Path(file), shape, int(images), int(queries), method)


def peak_resident_bytes() -> int:
    """Of this process since it began, on Linux; `ru_maxrss` would count its parent too."""
    status = Path("/proc/self/status").read_text()
    line = next(line for line in status.splitlines() if line.startswith("VmHWM:"))
    return int(line.split()[1]) * 1024


@click.command()
@click.option("--data", type=click.Path(exists=True, path_type=Path), help="An EDM-layout zip.")
@click.option("--images", "counts", default="2000,10000,50000", show_default=True)
@click.option("--queries", default="4,16", show_default=True)
@click.option("--only", default=",".join(METHODS), show_default=True, help="Methods.")
@click.option("--side", default=32, show_default=True, help="Of random images, in pixels.")
@click.option("--one", hidden=True, help="What a process is started for: FILE,C,H,W,N,B,METHOD.")
def main(
    data: Path | None, counts: str, queries: str, only: str, side: int, one: str | None
) -> None:
    """Print a table: a line a method, source size and batch, with its time and memory."""
    if one:
        measure_described(one)
        return
    sizes = [int(count) for count in counts.split(",")]
    batches = [int(count) for count in queries.split(",")]
    methods = only.split(",")
    unknown = [method for method in methods if method not in METHODS]
    if unknown:
        raise click.UsageError(f"unknown methods {unknown}; expected some of {list(METHODS)}")
    images = edm_images(data, max(sizes)) if data else random_images(max(sizes), side)
    shape = ImageShape(*images.shape[1:])
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "images.bin"
        file.write_bytes(images.numpy().tobytes())
        for method in methods:
            for count in sizes:
                for batch in batches:
                    described = f"{file},{','.join(map(str, shape))},{count},{batch},{method}"
                    done = subprocess.run(
                        [sys.executable, __file__, "--one", described],
                        capture_output=True,
                        text=True,
                        check=True,
                    )
                    found = json.loads(done.stdout)
                    pair = found["seconds"] * 1e6 / (count * batch)
                    mapped_mib = count * shape.dimensions / 2**20
                    peak_mib = found["peak_bytes"] / 2**20
                    figures = (f"{found['seconds']:.2f}", f"{pair:.3g}")
                    memory = (
                        f"{peak_mib:.0f}",
                        f"{mapped_mib:.0f}",
                        f"{peak_mib - mapped_mib:.0f}",
                    )
                    rows.append([method, count, batch, *figures, *memory])
                    click.echo(" ".join(map(str, rows[-1])), err=True)
    headers = ["method", "N", "queries", "seconds", "us per pair", "peak MiB", "source MiB"]
    headers.append("beside the source MiB")
    click.echo(tabulate(rows, headers=headers, tablefmt="github", disable_numparse=True))


if __name__ == "__main__":
    main()
