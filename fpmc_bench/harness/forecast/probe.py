"""A probe: calls of a denoiser that are timed, and units put together from them.

Seconds grow with queries along a line, and from one noise level to the next little by little: so
two calls at each of a few levels say about what a block of items takes at all of them.
"""

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch

from fpmc_bench.catalog.strangers import strangers_code
from fpmc_bench.contracts import DenoiseFunction
from fpmc_bench.diffusion.noise import unit_noise
from fpmc_bench.documents.protocols import protocol_facts
from fpmc_bench.fpmc.source import Source
from fpmc_bench.harness.forecast.costs import Taken
from fpmc_bench.teachers.sensitivity import (
    SensitivityMaps,
    mean_absolute_jacobian,
    sensitivity_queries,
)

LEVELS = 5
"""At which calls are timed."""
FEW_SAMPLES = 4
"""Of a sensitivity map that is made for no other use."""


@dataclass(frozen=True)
class Probe:
    """Seconds to build, and by index of noise level those to prepare and those of a whole block."""

    building: float
    levels: tuple[int, ...]
    prepares: tuple[float, ...]
    blocks: tuple[float, ...]

    def units(self, protocol: str, measured: Sequence[int], items: int) -> tuple[Taken, Taken]:
        """A first and a later unit of so many items at these levels of a protocol, guessed."""
        calls = protocol_facts(protocol).evaluations(len(measured)) / len(measured)
        later = calls * float(np.interp(measured, self.levels, self.blocks).sum())
        prepared = float(np.interp(measured, self.levels, self.prepares).sum())
        return (
            Taken(items=items, seconds=later + self.building + prepared),
            Taken(items=items, seconds=later),
        )

    def times(self, factor: float) -> "Probe":
        """Over a source that has so many times the images."""
        return replace(
            self,
            building=self.building * factor,
            prepares=tuple(one * factor for one in self.prepares),
            blocks=tuple(one * factor for one in self.blocks),
        )


def probed(
    denoise: DenoiseFunction,
    source: Source,
    sigmas: Sequence[float],
    block_items: int,
    device: str,
    seconds: float,
    *,
    building: float = 0.0,
) -> Probe:
    """Time calls at the first, the last and a few levels between; about `seconds` in all.

    Longer where a single query takes longer. `building` is what the denoiser took to be built.
    Raises whatever the denoiser raises.
    """
    levels = sorted({round(at) for at in np.linspace(0, len(sigmas) - 1, LEVELS)})
    prepares, blocks = [], []
    for level in levels:
        one = noisy_images(source, 1, sigmas[level], device)
        began = _timed(denoise, one, sigmas[level])
        single = _timed(denoise, one, sigmas[level])
        affordable = int(seconds / len(levels) / max(single, 1e-6))
        several = min(block_items, max(2, affordable))
        whole = single
        if several > 1:
            taken = _timed(
                denoise, noisy_images(source, several, sigmas[level], device), sigmas[level]
            )
            each = max(taken - single, 0.0) / (several - 1)
            whole = taken + each * (block_items - several)
        prepares.append(max(began - single, 0.0))
        blocks.append(whole)
    return Probe(building, tuple(levels), tuple(prepares), tuple(blocks))


def map_seconds(maps: SensitivityMaps, level: int) -> float:
    """Of a sensitivity map, from maps of few samples: seconds grow with these along a line."""
    sigma, seconds = maps.sigmas[level], []
    few = min(FEW_SAMPLES, maps.samples)
    for samples in (1, 1, few):  # the first warms up
        z = sensitivity_queries(maps.source, sigma, samples, maps.seed).to(maps.device)
        started = time.perf_counter()
        with strangers_code(f"network '{maps.teacher.name}'"):
            mean_absolute_jacobian(maps.teacher, z, sigma)
        seconds.append(time.perf_counter() - started)
    each = max(seconds[2] - seconds[1], 0.0) / max(few - 1, 1)
    return seconds[2] + each * (maps.samples - few)


def noisy_images(
    source: Source, queries: int, sigma: float, device: str, seed: int = 0
) -> torch.Tensor:
    """z [queries,C,H,W] float32: the first images of a source, repeated if need be, noisy."""
    rows = torch.arange(queries) % len(source)
    clean = source.to_values(source.stored(rows), torch.float32)
    return (clean + sigma * unit_noise(seed, "speed", range(queries), source.shape)).to(device)


def _timed(denoise: DenoiseFunction, z: torch.Tensor, sigma: float) -> float:
    started = time.perf_counter()
    denoise(z, sigma)
    if z.is_cuda:
        torch.cuda.synchronize(z.device)
    return time.perf_counter() - started
