"""Exact streaming evaluation of FPMCs: two linear maps around a softmax over the source."""

from fpmc_bench.engine.evaluate import fpmc_denoise
from fpmc_bench.engine.sizes import DEFAULT_BUDGET_BYTES

__all__ = ["DEFAULT_BUDGET_BYTES", "fpmc_denoise"]
