"""Records alone: statistics, comparisons, tables and their renderers. No torch."""
