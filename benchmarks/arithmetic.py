"""What do the three ways of multiplying by a binary matrix cost on this machine?

    python benchmarks/arithmetic.py --device cpu

Beside one multiply-add of a float32 product, as `fpmc_bench/engine/machine/arithmetic.py` holds it
for a few kinds of processors: whoever adds a kind measures it so. Nothing is chosen by what this
prints.
"""

import math
import time
from collections.abc import Callable

import click
import torch
from tabulate import tabulate

from fpmc_bench.engine.machine.arithmetic import KINDS, kind_of
from fpmc_bench.engine.maps.products import Product, SplitProduct
from fpmc_bench.engine.maps.subset_sums import SubsetSums


@click.command()
@click.option("--device", default="cpu", show_default=True)
@click.option("--size", default=1024, show_default=True, help="Rows and columns of the matrix.")
@click.option("--fill", default=1 / 8, show_default=True, help="The share of ones in it.")
@click.option("--columns", default=64, show_default=True, help="Of what it is applied to.")
@click.option("--repetitions", default=12, show_default=True)
def main(device: str, size: int, fill: float, columns: int, repetitions: int) -> None:
    """Print a table: what is measured here, beside what is taken for this kind of processor."""
    draw = torch.Generator().manual_seed(0)
    matrix = (torch.rand(size, size, generator=draw) < fill).to(device)
    values = torch.rand(size, columns, generator=draw).to(device)
    sums = SubsetSums(matrix, torch.arange(size, device=device))
    product, split = Product(matrix), SplitProduct(matrix)
    plain, add, split_up = fastest(
        [lambda: product.apply(values), lambda: sums.apply(values), lambda: split.apply(values)],
        device,
        repetitions,
    )
    kind = kind_of(device)
    known = KINDS[kind]
    multiply_add = plain / matrix.numel()
    rows = [
        ["addition", add / sums.operations / multiply_add, known.addition],
        ["split_multiply_add", split_up / plain, known.split_multiply_add],
    ]
    click.echo(tabulate(rows, headers=["operation", "measured", f"taken for {kind}"]))


def fastest(ways: list[Callable[[], object]], device: str, repetitions: int) -> list[float]:
    """The shortest seconds of each, taken in turns after one call to warm up.

    The shortest, because whatever else the machine does can only add to it.
    """
    best = [math.inf] * len(ways)
    for turn in range(repetitions + 1):
        for index, way in enumerate(ways):
            started = time.perf_counter()
            way()
            if device.startswith("cuda"):
                torch.cuda.synchronize(device)
            elapsed = time.perf_counter() - started
            best[index] = min(best[index], elapsed) if turn else math.inf
    return best


if __name__ == "__main__":
    main()
