"""Reports: small renderers of one neutral table. Matplotlib is imported only to draw."""

from fpmc_bench.results.render.write import write_reports

__all__ = ["write_reports"]
