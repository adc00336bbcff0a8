"""The model class: filters, the FPMC value and its dense float64 oracle. No I/O, no plugins."""

from fpmc_bench.fpmc.filters import (
    Dense,
    DimensionOneHot,
    Filter,
    PixelMasks,
    PixelOneHot,
    Separable,
    SharedByChannels,
    Uniform,
)
from fpmc_bench.fpmc.model import FPMC
from fpmc_bench.fpmc.reference import reference_denoise
from fpmc_bench.fpmc.translations import Translations

__all__ = [
    "FPMC",
    "Dense",
    "DimensionOneHot",
    "Filter",
    "PixelMasks",
    "PixelOneHot",
    "Separable",
    "SharedByChannels",
    "Translations",
    "Uniform",
    "reference_denoise",
]
