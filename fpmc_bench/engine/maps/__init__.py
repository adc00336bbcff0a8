"""Fast products for every family of filters; which one, `linear_map` reads off the structure."""

from fpmc_bench.engine.maps.base import LinearMap

__all__ = ["LinearMap"]
