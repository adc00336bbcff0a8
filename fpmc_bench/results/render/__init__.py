"""Reports: small renderers of one neutral table. Matplotlib is imported only to draw."""

from fpmc_bench.results.render.write import write_figures, write_tables

__all__ = ["write_figures", "write_tables"]
