"""Ties: which rows of a table can't be told from the best, at a level that holds for all together.

The row of least mean is the best by chance, too, and rows tested against it are tested against
whichever had most luck: of twenty equal rows one would be called worse in every fourth table. Here
the rows that may be the best are a model confidence set (Hansen, Lunde & Nason 2011, Econometrica
79): as long as all remaining rows can't be equal, the worst of them goes. With probability
1 - `SIGNIFICANCE` every row that is truly best, and there may be several, is in the set.

"Equal" is tested by the largest |t| of all pairs of rows, whose distribution is that under random
signs: were two rows equal, their difference on an item might as well be its opposite. One sign an
item is shared by all pairs, which keeps how they depend on each other; items of a group share one.
"""

import math
from collections.abc import Iterator, Mapping

import numpy as np
from numpy.typing import ArrayLike, NDArray

from fpmc_bench.errors import InputError
from fpmc_bench.results.statistics import SIGNIFICANCE

FLIPS = 4000
"""Random assignments of signs; where there are no more different ones all of them are tried."""
FEWEST = 6
"""Independent items (or groups) that can show a difference: of five, 2 in 32 assignments of signs
are as extreme as any, which is more than `SIGNIFICANCE`."""
SEED = 0
CHUNK_SIGNS = 2**21
"""Signs that are in memory at a time."""
_ROUNDING = 1e-9
"""By which equal statistics may differ, relative."""


def tie_p_values(
    values: Mapping[str, ArrayLike], groups: NDArray[np.int64] | None = None
) -> dict[str, float]:
    """Of every row, the least significance at which it can be told from the best; the best has 1.

    `values`: name -> [n] over the same items, less is better; `groups` [n]: items that aren't
    independent. The p-value of a row is the largest of the tests before it had to go. NaN for a row
    with a value that is not finite, which takes part in nothing. The same numbers give the same
    p-values, always. InputError where lengths differ.
    """
    arrays = {name: np.asarray(array, dtype=np.float64) for name, array in values.items()}
    if len({array.shape for array in arrays.values()}) > 1:
        lengths = sorted({array.size for array in arrays.values()})
        raise InputError(f"rows are compared over the same items, got {lengths} values")
    names = [name for name, array in arrays.items() if np.isfinite(array).all()]
    p_values = dict.fromkeys(arrays, math.nan)
    if names:
        rows = np.stack([arrays[name] for name in names])
        p_values |= dict(zip(names, _p_values(rows, groups), strict=True))
    return p_values


def tied_with_best(
    values: Mapping[str, ArrayLike], groups: NDArray[np.int64] | None = None
) -> frozenset[str]:
    """The names that can't be told from the best, [n] and groups [n] as `tie_p_values` has them.

    InputError where lengths differ.
    """
    return frozenset(name for name, p in tie_p_values(values, groups).items() if is_tied(p))


def is_tied(p_value: float) -> bool:
    """Whether a row with this p-value, as `tie_p_values` has it, can't be told from the best."""
    return p_value >= SIGNIFICANCE


def _p_values(rows: NDArray[np.float64], groups: NDArray[np.int64] | None) -> list[float]:
    """[rows] of values [rows,n]."""
    count = len(rows)
    sums, sizes = _of_groups(rows, groups)
    if count == 1 or len(sizes) == 1:
        return [1.0] * count
    first, second = np.triu_indices(count, 1)
    pairs = sums[:, first] - sums[:, second]
    observed = _t(np.ones((1, len(sizes))), pairs, sizes)[0]
    order = _order(observed, rows.mean(axis=1), first, second)
    # pairs by the step at which the first of both goes: those of later steps are in every earlier
    place = np.argsort(order)
    step = np.minimum(place[first], place[second])
    extreme, tried = np.zeros(count), 0
    largest = _largest(np.abs(observed)[None], step, count)[0]
    for signs in _signs(len(sizes)):
        found = _largest(np.abs(_t(signs, pairs, sizes)), step, count)
        extreme += (found >= largest * (1 - _ROUNDING)).sum(axis=0)
        tried += len(signs)
    p_values = np.maximum.accumulate(extreme / tried)
    p_values[-1] = 1.0
    return [float(p) for p in p_values[place]]


def _of_groups(
    rows: NDArray[np.float64], groups: NDArray[np.int64] | None
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Sums [G,rows] of values [rows,n] over the items of a group, and how many these are, [G]."""
    centred = (rows - rows.mean(axis=0)).T
    if groups is None:
        return centred, np.ones(len(centred))
    found, which = np.unique(groups, return_inverse=True)
    sums = np.zeros((len(found), len(rows)))
    np.add.at(sums, which, centred)
    return sums, np.bincount(which).astype(np.float64)


def _t(
    signs: NDArray[np.float64], pairs: NDArray[np.float64], sizes: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Student's t [flips,pairs] of differences [G,pairs], whose groups have `signs` [flips,G].

    The error is clustered (CR1), that of independent items where all sizes [G] are 1.
    """
    count, n = len(sizes), sizes.sum()
    mean = signs @ pairs / n
    alike = (sizes == sizes[0]).all()
    weighted = sizes[0] * n * mean if alike else (signs * sizes) @ pairs
    squares = np.square(pairs).sum(axis=0)
    spread = squares - 2 * mean * weighted + np.square(mean) * np.square(sizes).sum()
    spread[spread < 1e-14 * squares] = 0  # rounding of differences that are all one number
    error = np.sqrt(count / (count - 1) * spread) / n
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(mean == 0, 0.0, mean / error)


def _order(
    t: NDArray[np.float64],
    means: NDArray[np.float64],
    first: NDArray[np.int64],
    second: NDArray[np.int64],
) -> list[int]:
    """Rows in the order in which they go: that which is most surely worse than another first.

    `t` [pairs] of the rows `first` less `second`, [pairs] each. Of those that are as surely worse
    it is that of larger mean [rows].
    """
    worse = np.zeros((len(means), len(means)))
    worse[first, second], worse[second, first] = t, -t
    left, order = list(range(len(means))), []
    while left:
        surely = {row: max((worse[row, other] for other in left), default=0.0) for row in left}
        gone = max(left, key=lambda row: (surely[row], means[row], row))
        left.remove(gone)
        order.append(gone)
    return order


def _largest(t: NDArray[np.float64], step: NDArray[np.int64], steps: int) -> NDArray[np.float64]:
    """[flips,steps]: the largest of |t| [flips,pairs] among the pairs that are left at every step.

    `step` [pairs]: the last one that a pair is there at.
    """
    found = np.zeros((len(t), steps))
    for last in range(steps - 1):
        found[:, last] = t[:, step == last].max(axis=1)
    return np.maximum.accumulate(found[:, ::-1], axis=1)[:, ::-1]


def _signs(count: int) -> Iterator[NDArray[np.float64]]:
    """Assignments of signs to `count` items, [flips,count] in parts; the first are as observed.

    All that differ by more than all signs at once, where these are no more than `FLIPS`.
    """
    if 2 ** (count - 1) <= FLIPS:
        bits = np.arange(2 ** (count - 1))[:, None] >> np.arange(count) & 1
        yield 1 - 2 * bits.astype(np.float64)
        return
    yield np.ones((1, count))
    random, at_once = np.random.default_rng(SEED), max(CHUNK_SIGNS // count, 1)
    for start in range(0, FLIPS, at_once):
        flips = min(at_once, FLIPS - start)
        yield 1 - 2 * random.integers(0, 2, (flips, count), dtype=np.int8).astype(np.float64)
