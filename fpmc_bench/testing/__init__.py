"""For authors of plugins: what every denoiser promises, as one call in a test of yours."""

from fpmc_bench.testing.conformance import check_denoiser

__all__ = ["check_denoiser"]
