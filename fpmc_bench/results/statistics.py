"""Statistics of per-item values: standard errors, paired differences, Holm's correction.

Pure functions on float64 arrays. Where items come in groups (crops of one picture, scans of one
patient), errors are clustered by these, for items of one group are not independent. A value that is
not a number is never dropped: it makes the figure it belongs to not a number.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import stdtr, stdtrit

from fpmc_bench.documents.record import Figure
from fpmc_bench.errors import InputError

SIGNIFICANCE = 0.05
"""Significance level of every comparison, for all that are made at once."""


@dataclass(frozen=True)
class Difference:
    """Mean of a - b over paired items, its standard error, and the two-sided p-value of zero."""

    mean: float
    standard_error: float
    p_value: float
    n: int
    degrees_of_freedom: int
    """Of Student's t: items less one, or groups less one."""


def item_means(values: ArrayLike) -> NDArray[np.float64]:
    """One value an item, [items], from [items] or, averaged over noise levels, [items, sigmas]."""
    array = np.asarray(values, dtype=np.float64)
    return array if array.ndim == 1 else array.mean(axis=1)


def mean_and_error(values: ArrayLike, groups: NDArray[np.int64] | None = None) -> Figure:
    """Mean of values [n] with its standard error: `item_error`, or with groups `clustered_error`.

    One value, or one group, has a mean and no standard error (NaN). InputError for none, or for
    another shape.
    """
    array = _vector(values)
    if not np.isfinite(array).all():
        return Figure(mean=math.nan, standard_error=math.nan, n=array.size)
    error = item_error(array) if groups is None else clustered_error(array, groups)
    return Figure(mean=float(array.mean()), standard_error=error, n=array.size)


def item_error(values: ArrayLike) -> float:
    """s / sqrt(n) of values [n], s with divisor n - 1: of items that are independent.

    NaN for one. InputError for none, or for another shape.
    """
    array = _vector(values)
    n = array.size
    return float(array.std(ddof=1) / math.sqrt(n)) if n > 1 else math.nan


def clustered_error(values: ArrayLike, groups: NDArray[np.int64]) -> float:
    """Of the mean of values [n], of G groups [n]: cluster-robust, and never below `item_error`.

    sqrt(G / (G-1) sum_g (sum_{k in g} (x_k - mean))^2) / n, the CR1 estimator for a mean (Cameron &
    Miller 2015, "A practitioner's guide to cluster-robust inference"), with G - 1 degrees of
    freedom. Of few groups it is small by chance every so often (of two, below half of what it
    should be in 38 % of cases), while items of one group are hardly ever less alike than any two:
    so the larger of both errors is taken (Angrist & Pischke 2009, 8.1). NaN for one group.
    InputError for no values, or for another shape.
    """
    array, (found, which) = _vector(values), np.unique(groups, return_inverse=True)
    count = len(found)
    if count < 2:
        return math.nan
    sums = np.bincount(which, weights=array - array.mean())
    robust = math.sqrt(count / (count - 1) * float(np.square(sums).sum())) / array.size
    return max(robust, item_error(array))


def half_width(figure: Figure, independent: int) -> float:
    """Of Student's t interval around a mean, at 1 - `SIGNIFICANCE`; 0 where it has no error.

    `independent`: how many items, or groups of these, the error is of.
    """
    half = figure.standard_error * float(stdtrit(max(independent - 1, 1), 1 - SIGNIFICANCE / 2))
    return half if math.isfinite(half) else 0.0


def paired_difference(
    a: ArrayLike, b: ArrayLike, groups: NDArray[np.int64] | None = None
) -> Difference:
    """Paired t-test of a against b, both [n] over the same items, which may come in groups [n].

    Differences without spread are certain: p = 1 where they are all zero, else 0. One item or one
    group tells nothing: p = 1. Where a value is not finite, p is NaN. InputError where the lengths
    differ.
    """
    first, second = _vector(a), _vector(b)
    if first.size != second.size:
        raise InputError(
            f"a paired comparison needs the same items on both sides, "
            f"got {first.size} and {second.size} values"
        )
    degrees = (first.size if groups is None else len(np.unique(groups))) - 1
    if not (np.isfinite(first).all() and np.isfinite(second).all()):
        return Difference(math.nan, math.nan, math.nan, first.size, degrees)
    figure = mean_and_error(first - second, groups)
    mean, error = figure.mean, figure.standard_error
    if degrees == 0 or mean == 0:
        p_value = 1.0
    elif error == 0:
        p_value = 0.0
    else:
        p_value = float(2 * stdtr(degrees, -abs(mean / error)))
    return Difference(mean, error, p_value, figure.n, degrees)


def holm(p_values: Sequence[float]) -> list[float]:
    """Holm's step-down adjustment: reject at level a where the adjusted value is below a.

    Holm (1979), "A simple sequentially rejective multiple test procedure": the i-th smallest of m
    is multiplied by m - i + 1, kept monotone and at most 1. InputError for a value outside [0, 1].
    """
    p = np.asarray(p_values, dtype=np.float64)
    if not ((p >= 0) & (p <= 1)).all():
        raise InputError(f"p-values must lie in [0, 1], got {list(p_values)}")
    order = np.argsort(p, kind="stable")
    scaled = p[order] * np.arange(p.size, 0, -1)
    adjusted = np.empty_like(p)
    adjusted[order] = np.minimum(np.maximum.accumulate(scaled), 1.0)
    return [float(value) for value in adjusted]


def _vector(values: ArrayLike) -> NDArray[np.float64]:
    array = np.asarray(values, dtype=np.float64)
    if array.ndim != 1 or array.size == 0:
        raise InputError(f"one value an item is needed, [n] with n >= 1, got shape {array.shape}")
    return array
