"""`fpmc-bench bench`: how fast the denoisers of a suite are here, and how fast they could be."""

from dataclasses import asdict
from typing import TYPE_CHECKING

import click

from fpmc_bench.cli.common import (
    Given,
    denoiser_option,
    job_options,
    json_option,
    print_json,
    registry_with_warnings,
)
from fpmc_bench.cli.printing import PrintingCommand, echo

if TYPE_CHECKING:
    from fpmc_bench.engine import Arithmetic
    from fpmc_bench.jobs.bench import Speed, Yardsticks


@click.command(cls=PrintingCommand)
@click.argument("suite", default="digits")
@denoiser_option
@click.option(
    "--levels",
    type=click.IntRange(min=1),
    default=3,
    show_default=True,
    help="Noise levels of the suite, from the highest to the lowest.",
)
@click.option(
    "--queries", type=click.IntRange(min=1), default=16, show_default=True, help="Asked at once."
)
@click.option(
    "--repetitions",
    type=click.IntRange(min=1),
    default=5,
    show_default=True,
    help="Timed calls, of which the median is shown.",
)
@job_options
@json_option
def bench(
    suite: str,
    denoisers: tuple[str, ...],
    levels: int,
    queries: int,
    repetitions: int,
    given: Given,
    as_json: bool,
) -> None:
    """Time the denoisers of SUITE on its training images.

    For each entry and noise level: microseconds per (query, source image) pair, queries per
    second, peak working memory, and how its counted operations and bytes a second compare with
    those of a large float32 matrix product and of a large copy on this machine. These are no
    bounds: work that stays in the cache passes a copy.
    """
    import torch

    from fpmc_bench.catalog.entries import chosen_entries
    from fpmc_bench.catalog.finding import load_suite
    from fpmc_bench.engine import EngineSettings, using
    from fpmc_bench.harness.cluster.processes import join_processes
    from fpmc_bench.harness.plan import make_plan
    from fpmc_bench.jobs.bench import measure_suite, measure_yardsticks
    from fpmc_bench.telling.bars import Bar

    registry = registry_with_warnings()
    whole = load_suite(suite, registry=registry)
    chosen = chosen_entries(whole, denoisers, registry, given.places)
    device = join_processes(given.device).device
    plan = make_plan(chosen.suite, chosen.registry, device, chosen.places).whole()
    settings = EngineSettings(given.memory_budget)
    yardsticks = measure_yardsticks(device)
    total = len(plan.contestants) * min(levels, len(plan.context.sigmas))
    with using(settings), Bar("bench", total, "measurement") as bar:
        speeds = measure_suite(
            plan,
            yardsticks,
            levels=levels,
            queries=queries,
            repetitions=repetitions,
            progress=bar.advance,
        )
    arithmetic = settings.arithmetic_on(device)
    if as_json:
        print_json(_as_json(speeds, yardsticks, arithmetic, device, torch.get_num_threads()))
        return
    echo(_table(speeds))
    echo(
        f"\n{queries} queries at once, {speeds[0].source_images} source images, {device}, "
        f"{torch.get_num_threads()} threads. Yardsticks: a product of float32 at "
        f"{yardsticks.product_gflops:.0f} GFLOP/s, a copy at {yardsticks.bandwidth_gbytes:.0f} "
        f"GB/s. Products are chosen as if, beside one multiply-add of float32, adding rows cost "
        f"{arithmetic.addition:g} and an exact bfloat16 product {arithmetic.split_multiply_add:g}."
    )


def _table(speeds: "list[Speed]") -> str:
    from tabulate import tabulate

    from fpmc_bench.results.render.numbers import significant

    headers = [
        "denoiser",
        "sigma",
        "path",
        "us per pair",
        "queries/s",
        "peak MiB",
        "x product",
        "x copy",
    ]
    rows = [
        [
            speed.denoiser,
            f"{speed.sigma:.3g}",
            speed.path,
            significant(speed.microseconds_per_pair, 3),
            significant(speed.queries_per_second, 3),
            f"{speed.peak_memory_bytes / 2**20:.0f}",
            _ratio(speed.product_ratio),
            _ratio(speed.copy_ratio),
        ]
        for speed in speeds
    ]
    alignment = ("left", "right", "left", *["right"] * 5)
    return str(
        tabulate(
            rows, headers=headers, tablefmt="simple", disable_numparse=True, colalign=alignment
        )
    )


def _ratio(ratio: float | None) -> str:
    return "-" if ratio is None else f"{ratio:.2f}"


def _as_json(
    speeds: "list[Speed]",
    yardsticks: "Yardsticks",
    arithmetic: "Arithmetic",
    device: str,
    threads: int,
) -> dict[str, object]:
    return {
        "device": device,
        "threads": threads,
        "yardsticks": asdict(yardsticks),
        "arithmetic": arithmetic.describe(),
        "speeds": [
            asdict(speed)
            | {
                "microseconds_per_pair": speed.microseconds_per_pair,
                "queries_per_second": speed.queries_per_second,
            }
            for speed in speeds
        ],
    }
