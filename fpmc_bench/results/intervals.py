"""95 % intervals of a paired mean: a bootstrap of items or groups, where there are enough."""

import math
import warnings
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy.special import stdtrit
from scipy.stats import DegenerateDataWarning, bootstrap

from fpmc_bench.results.statistics import SIGNIFICANCE, Difference

Method = Literal["BCa", "t", "none"]
FEWEST, MOST = 10, 5000
"""Units that a bootstrap is of. Fewer are too few to resample, and more don't need it: their mean
is normal, and the acceleration of BCa would take the square of their number."""
RESAMPLES = 4999
SEED = 0
BATCH_NUMBERS = 2**21
"""Resampled differences that are in memory at a time."""


@dataclass(frozen=True)
class Interval:
    """From `low` to `high`, and how it was made: `t` is Student's; of `none` both are NaN."""

    low: float
    high: float
    method: Method


def interval_of(
    differences: NDArray[np.float64], found: Difference, groups: NDArray[np.int64] | None
) -> Interval:
    """Of the mean of `differences` [n], which `found` summarises, resampled by `groups` [n].

    The bias-corrected and accelerated bootstrap (Efron 1987) of `scipy.stats.bootstrap`, the same
    whatever the order of items, and with its ends exchanged for the opposite differences. Student's
    t with fewer than `FEWEST` or more than `MOST` items or groups, and where all differ alike.
    """
    units = found.degrees_of_freedom + 1
    if not math.isfinite(found.standard_error):
        return Interval(math.nan, math.nan, "none")
    if FEWEST <= units <= MOST and found.standard_error > 0:
        low, high = _bca(np.sign(found.mean) * differences, groups)
        if math.isfinite(low) and math.isfinite(high):
            ends = (low, high) if found.mean >= 0 else (-high, -low)
            return Interval(*ends, "BCa")
    half = float(stdtrit(units - 1, 1 - SIGNIFICANCE / 2)) * found.standard_error
    return Interval(found.mean - half, found.mean + half, "t")


def _bca(differences: NDArray[np.float64], groups: NDArray[np.int64] | None) -> tuple[float, float]:
    """Of differences [n], in whatever order; NaN where all resamples have one mean."""
    which = np.arange(len(differences)) if groups is None else groups
    _, unit, sizes = np.unique(which, return_inverse=True, return_counts=True)
    sums = np.bincount(unit, weights=differences)
    order = np.lexsort((sizes, sums))
    with warnings.catch_warnings(), np.errstate(divide="ignore", invalid="ignore"):
        warnings.simplefilter("ignore", DegenerateDataWarning)
        found = bootstrap(
            (sums[order], sizes[order].astype(np.float64)),
            lambda sums, sizes, axis=-1: sums.sum(axis) / sizes.sum(axis),
            paired=True,
            n_resamples=RESAMPLES,
            batch=max(BATCH_NUMBERS // len(sums), 1),
            confidence_level=1 - SIGNIFICANCE,
            method="BCa",
            rng=np.random.default_rng(SEED),
        ).confidence_interval
    return float(found.low), float(found.high)
