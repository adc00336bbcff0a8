"""Exact streaming evaluation of FPMCs: two linear maps around a softmax over the source."""

from fpmc_bench.engine.evaluate import DEFAULT_BUDGET_BYTES, fpmc_denoise

__all__ = ["DEFAULT_BUDGET_BYTES", "fpmc_denoise"]
