"""Exact evaluation of FPMCs in bounded memory: two linear maps around a softmax over the source.

    evaluate     the front door: z in, D(z, sigma) out
    ways/        how: whole images, translated squares, or anything else streamed; one file a way
    exact        streaming in float32, and in float64 where that shows
    streaming    one pass over the source, or two
    gradient, sweeps    the same as a differentiable function of Q and R
    searches     which pixels meet which where squares move
    groups, blocks    some queries, and some images of the source, as columns
    softmax, elementwise    the running softmax, and the chains of operations it is made of
    prepared, maps/   a model made ready for a device: fast products for every family of filters
    machine/     what depends on the machine: settings, sizes, memory, arithmetic

`fpmc_denoise` evaluates; `using(EngineSettings(...))` sets how, around a whole run. Nothing here
knows of plugins or processes.
"""

from fpmc_bench.engine.evaluate import fpmc_denoise
from fpmc_bench.engine.machine.arithmetic import Arithmetic
from fpmc_bench.engine.machine.settings import (
    DEFAULT_BUDGET_BYTES,
    EngineSettings,
    current_settings,
    using,
)

__all__ = [
    "DEFAULT_BUDGET_BYTES",
    "Arithmetic",
    "EngineSettings",
    "current_settings",
    "fpmc_denoise",
    "using",
]
