"""bench: every entry of a suite at a few noise levels, beside two things that the machine does.

Times are medians, because a shared machine is now and then slow; yardsticks are the best of several
tries, because they are to be the same each time.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import median

import torch

from fpmc_bench.catalog.built import BuiltDenoiser
from fpmc_bench.contracts import FPMCDenoiser
from fpmc_bench.engine.prepared import prepare
from fpmc_bench.engine.ways import way_of
from fpmc_bench.harness.forecast.peaks import peak_memory
from fpmc_bench.harness.forecast.probe import noisy_images
from fpmc_bench.harness.plan import Plan


@dataclass(frozen=True)
class Yardsticks:
    """A large product and a large copy, with all threads or the GPU: no bounds, but well known.

    Work on arrays that stay in the cache passes a copy, exact bfloat16 products pass float32's.
    """

    product_gflops: float
    """float32 products of 2048 x 2048 matrices, 2 operations a multiply-add."""
    bandwidth_gbytes: float
    """Copies of 256 MiB, counting what is read and what is written."""


@dataclass(frozen=True)
class Speed:
    """One denoiser at one noise level. Ratios are to `Yardsticks`; None where not an FPMC."""

    denoiser: str
    sigma: float
    path: str
    queries: int
    source_images: int
    seconds: float
    peak_memory_bytes: int
    """Beyond the source and the model: how far memory grows during a call."""
    product_ratio: float | None
    copy_ratio: float | None

    @property
    def microseconds_per_pair(self) -> float:
        return self.seconds * 1e6 / (self.queries * self.source_images)

    @property
    def queries_per_second(self) -> float:
        return self.queries / self.seconds


def measure_yardsticks(device: str, repetitions: int = 5) -> Yardsticks:
    """Time one large product and one large copy."""
    size, copied_bytes = 2048, 2**28
    matrix = torch.rand(size, size, device=device)
    source = torch.zeros(copied_bytes // 4, device=device)
    target = torch.empty_like(source)
    product = min(_times(lambda: matrix @ matrix, device, repetitions))
    copy = min(_times(lambda: target.copy_(source), device, repetitions))
    return Yardsticks(2 * size**3 / product / 1e9, 2 * copied_bytes / copy / 1e9)


def measure_suite(
    plan: Plan,
    yardsticks: Yardsticks,
    *,
    levels: int,
    queries: int,
    repetitions: int,
    progress: Callable[[], None] = lambda: None,
) -> list[Speed]:
    """`measure_speed` of every entry at `levels` of the suite's noise levels.

    `progress` is called after every measurement.
    """
    speeds = []
    for contestant in plan.contestants:
        built = plan.built(contestant)
        for sigma in spread_levels(plan.context.sigmas, levels):
            speeds.append(
                measure_speed(
                    built,
                    contestant.name,
                    sigma,
                    yardsticks,
                    queries=queries,
                    repetitions=repetitions,
                )
            )
            progress()
    return speeds


def measure_speed(
    built: BuiltDenoiser,
    name: str,
    sigma: float,
    yardsticks: Yardsticks,
    *,
    queries: int,
    repetitions: int,
    seed: int = 0,
) -> Speed:
    """The median time of a call with `queries` noisy images of the source, after one to warm up."""
    source, device = built.source, built.setting.device
    z = noisy_images(source, queries, sigma, device, seed)
    if isinstance(built.plugin, FPMCDenoiser):
        prepare(built.fpmc(sigma), device)  # so that only the evaluation's own memory counts
    with torch.no_grad():
        with peak_memory(device) as peak:
            built(z, sigma)
        times = _times(lambda: built(z, sigma), device, repetitions)
    seconds = median(times)
    path = "function"
    product_ratio: float | None = None
    copy_ratio: float | None = None
    if isinstance(built.plugin, FPMCDenoiser):
        prepared = prepare(built.fpmc(sigma), device)
        way = way_of(prepared.model)
        path, work = way.path(prepared), way.work(prepared)
        pairs_per_second = queries * len(source) / seconds
        product_ratio = work.operations * pairs_per_second / yardsticks.product_gflops / 1e9
        copy_ratio = work.bytes * pairs_per_second / yardsticks.bandwidth_gbytes / 1e9
    return Speed(
        name,
        sigma,
        path,
        queries,
        len(source),
        seconds,
        peak.grown_bytes,
        product_ratio,
        copy_ratio,
    )


def spread_levels(sigmas: Sequence[float], count: int) -> list[float]:
    """`count` of the noise levels, from the highest to the lowest, evenly spread."""
    if count >= len(sigmas):
        return list(sigmas)
    last = len(sigmas) - 1
    return [sigmas[round(i * last / max(count - 1, 1))] for i in range(count)]


def _times(work: Callable[[], object], device: str, repetitions: int) -> list[float]:
    times = []
    for _ in range(repetitions + 1):
        started = time.perf_counter()
        work()
        if device.startswith("cuda"):
            torch.cuda.synchronize(device)
        times.append(time.perf_counter() - started)
    return times[1:]  # the first warms up
