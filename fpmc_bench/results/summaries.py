"""From per-item values to figures: what every item contributes, and the figure of all.

A figure is the mean of its contributions, and its standard error that of this mean. The values of a
metric are their own contributions, but for a ratio of sums, R = 1 - sum_k e_k / sum_k v_k, which is
no mean: there item k contributes R - (e_k - (1 - R) v_k) / mean(v), which is R linearised in both
sums (the delta method). Their mean is R, and their spread gives its standard error.
"""

import math
from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from fpmc_bench.documents.items import ItemValues
from fpmc_bench.documents.record import Figure
from fpmc_bench.results.statistics import item_error, item_means, mean_and_error

ERRORS_OF: Mapping[str, str] = {"r2-pooled@1": "mse@1"}
"""Metrics that are ratios of sums: their own values v_k, and the metric whose values are e_k."""


def figure_of(values: ItemValues, metric: str, level: int | None = None) -> Figure:
    """The figure of a metric, over all noise levels or at one, clustered by the items' groups."""
    return mean_and_error(contributions(values, metric, level), values.groups)


def independent_error(values: ItemValues, metric: str) -> float:
    """The standard error that the figure would have, were all items independent; NaN: not known."""
    items = contributions(values, metric)
    return item_error(items) if np.isfinite(items).all() else math.nan


def contributions(
    values: Mapping[str, NDArray[np.float64]], metric: str, level: int | None = None
) -> NDArray[np.float64]:
    """[items]: what each item adds to the figure of a metric, averaged over noise levels or at one.

    NaN for a ratio whose denominator is 0.
    """
    own = _of_items(values[metric], level)
    if metric not in ERRORS_OF:
        return own
    errors, scale = _of_items(values[ERRORS_OF[metric]], level), own.mean()
    if scale == 0:
        return np.full_like(own, np.nan)
    ratio = errors.mean() / scale
    contributed: NDArray[np.float64] = (1 - ratio) - (errors - ratio * own) / scale
    return contributed


def _of_items(array: NDArray[np.float64], level: int | None) -> NDArray[np.float64]:
    """[items] of [items, sigmas] or [items]."""
    return item_means(array) if level is None else array[:, level]
