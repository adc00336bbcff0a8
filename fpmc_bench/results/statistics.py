"""Statistics of per-item values: standard errors, paired differences, Holm's correction.

Pure functions on float64 arrays. A value that is not a number is never dropped: it makes the
figure it belongs to not a number.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import stdtr

from fpmc_bench.documents.record import Figure
from fpmc_bench.errors import InputError

SIGNIFICANCE = 0.05
"""Significance level of every comparison, after Holm's correction."""


@dataclass(frozen=True)
class Difference:
    """Mean of a - b over paired items, its standard error, and the two-sided p-value of zero."""

    mean: float
    standard_error: float
    p_value: float
    n: int


def item_means(values: ArrayLike) -> NDArray[np.float64]:
    """One value an item, [items], from [items] or, averaged over noise levels, [items, sigmas]."""
    array = np.asarray(values, dtype=np.float64)
    return array if array.ndim == 1 else array.mean(axis=1)


def mean_and_error(values: ArrayLike) -> Figure:
    """Mean and s / sqrt(n), s with divisor n - 1, of values [n].

    One value has a mean and no standard error (NaN). InputError for none, or for another shape.
    """
    array = _vector(values)
    n = array.size
    if not np.isfinite(array).all():
        return Figure(mean=math.nan, standard_error=math.nan, n=n)
    error = array.std(ddof=1) / math.sqrt(n) if n > 1 else math.nan
    return Figure(mean=float(array.mean()), standard_error=float(error), n=n)


def paired_difference(a: ArrayLike, b: ArrayLike) -> Difference:
    """Paired t-test of a against b, both [n] over the same items.

    Differences without spread are certain: p = 1 where they are all zero, else 0. One item tells
    nothing: p = 1. Where a value is not finite, p is NaN. InputError where the lengths differ.
    """
    first, second = _vector(a), _vector(b)
    if first.size != second.size:
        raise InputError(
            f"a paired comparison needs the same items on both sides, "
            f"got {first.size} and {second.size} values"
        )
    if not (np.isfinite(first).all() and np.isfinite(second).all()):
        return Difference(math.nan, math.nan, math.nan, first.size)
    figure = mean_and_error(first - second)
    mean, error, n = figure.mean, figure.standard_error, figure.n
    if n == 1 or mean == 0:
        p_value = 1.0
    elif error == 0:
        p_value = 0.0
    else:
        p_value = float(2 * stdtr(n - 1, -abs(mean / error)))
    return Difference(mean, error, p_value, n)


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


def tied_with_best(
    values: Mapping[str, ArrayLike], significance: float = SIGNIFICANCE
) -> frozenset[str]:
    """The name of least mean, and those whose paired difference from it is not significant.

    values: name -> [n] over the same items, less is better. A name with a value that is not finite
    is neither best nor tied. Empty where no name is left. InputError where lengths differ.
    """
    finite = {name: _vector(v) for name, v in values.items() if np.isfinite(v).all()}
    if not finite:
        return frozenset()
    best = min(finite, key=lambda name: (float(finite[name].mean()), name))
    others = [name for name in finite if name != best]
    adjusted = holm([paired_difference(finite[name], finite[best]).p_value for name in others])
    tied = (name for name, p in zip(others, adjusted, strict=True) if p >= significance)
    return frozenset({best, *tied})


def _vector(values: ArrayLike) -> NDArray[np.float64]:
    array = np.asarray(values, dtype=np.float64)
    if array.ndim != 1 or array.size == 0:
        raise InputError(f"one value an item is needed, [n] with n >= 1, got shape {array.shape}")
    return array
