"""The ways of evaluating an FPMC, one file each; a new one is a file and its place in `WAYS`."""

from fpmc_bench.engine.ways.base import Way, Work
from fpmc_bench.engine.ways.streamed import STREAMED
from fpmc_bench.engine.ways.translated import TRANSLATED
from fpmc_bench.engine.ways.whole import WHOLE
from fpmc_bench.fpmc import FPMC

__all__ = ["WAYS", "Way", "Work", "way_of"]

WAYS = (WHOLE, TRANSLATED, STREAMED)
"""The first that fits is taken; the last fits all models."""


def way_of(model: FPMC) -> Way:
    """How the engine evaluates `model`: the first of `WAYS` that fits."""
    return next(way for way in WAYS if way.fits(model))
