"""Exact streaming evaluation of FPMCs: two linear maps around a softmax over the source."""

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
