"""A static site of leaderboards: pages, pictures and downloads, and nothing from elsewhere."""

from fpmc_bench.results.site.build import build_site

__all__ = ["build_site"]
