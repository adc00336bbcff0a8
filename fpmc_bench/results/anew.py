"""Values that were computed anew beside those of a record, item by item: the one measure of that.

A difference of mse@1 is taken relative to the item's own error, or, where that is larger, to the
smaller of sigma^2 and the variance of the reference (the mean squared deviation of its images from
their own means, over the items that were computed): what an error can mean there. r2@1, which is
1 less mse@1 divided by the variance of the item's own reference, is multiplied by that variance
first, so that flat images count for as little as they hold. The items of r2-pooled@1 are these
variances, and relative to their mean. Whoever compares errors alone does so by `errors_apart`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fpmc_bench.documents.items import ItemValues
from fpmc_bench.documents.record import Record
from fpmc_bench.errors import RunError

Values = NDArray[np.float64]
ERRORS, VARIANCES = "mse@1", "r2-pooled@1"
"""Metrics whose items are squared errors, and variances of references."""


@dataclass(frozen=True, eq=False)
class Scales:
    """What differences of one protocol's items are measured by, all squares of pixel values.

    `own` [items] or [items, sigmas]: the variance of each reference. `spread` and `error`, [] or
    [sigmas]: its mean over items, and that or sigma^2.
    """

    own: Values
    spread: Values
    error: Values

    @classmethod
    def of(cls, references: NDArray[np.float32], sigmas: Sequence[float] | None) -> "Scales":
        """Of references [items,C,H,W], or [items,S,C,H,W] at so many noise levels."""
        images = references.astype(np.float64).reshape(*references.shape[:-3], -1)
        return cls.of_variances(images.var(axis=-1), sigmas)

    @classmethod
    def of_variances(cls, own: Values, sigmas: Sequence[float] | None) -> "Scales":
        """Of each reference's, [items], or [items,S] at so many noise levels."""
        spread = own.mean(axis=0)
        error = spread if sigmas is None else np.minimum(spread, np.square(sigmas))
        return cls(own, spread, error)

    def factors(self, errors: Values) -> dict[str, Values]:
        """What a difference is multiplied by, metric by metric: [], [sigmas] or as `errors`.

        `errors`: mse@1 of the items, [items] or [items, sigmas].
        """
        largest = np.maximum(self.error, errors)
        return {
            ERRORS: 1 / largest,
            "r2@1": self.own / largest,
            VARIANCES: 1 / self.spread,
        }


@dataclass(frozen=True, eq=False)
class Comparison:
    """One row's items: how far each is apart, by metric, [n] or [n, sigmas]."""

    differences: Mapping[str, Values]

    @property
    def by_item(self) -> Values:
        """[n]: the largest over metrics and noise levels."""
        largest = [one.reshape(len(one), -1).max(axis=1) for one in self.differences.values()]
        found: Values = np.max(largest, axis=0)
        return found

    def worst(self, position: int) -> tuple[str, int | None]:
        """Where the item at `position` is furthest apart: the metric, and the column of sigma."""
        found = {name: one[position] for name, one in self.differences.items()}
        metric = max(found, key=lambda name: float(np.max(found[name])))
        return metric, int(np.argmax(found[metric])) if found[metric].ndim else None


def compared(
    recorded: Mapping[str, Values], anew: Mapping[str, Values], scales: Scales
) -> Comparison:
    """Of the same items, [n] or [n, sigmas] by metric; equal values that are no numbers agree.

    RunError for a metric of which it is not known what a difference means.
    """
    factors, differences = scales.factors(anew[ERRORS]), {}
    for metric, values in anew.items():
        if metric not in factors:
            raise RunError(f"{metric} can't be verified: known are {', '.join(factors)}")
        same = np.isclose(recorded[metric], values, rtol=0, atol=0, equal_nan=True)
        with np.errstate(invalid="ignore", divide="ignore"):
            apart = np.abs(recorded[metric] - values) * factors[metric]
        differences[metric] = np.where(same, 0.0, np.where(np.isfinite(apart), apart, np.inf))
    return Comparison(differences)


def errors_apart(record: Record, values: ItemValues, errors: Values) -> Values:
    """[items]: how far squared errors, [items] or [items,S], are from those of a record's `values`.

    Infinite where they are of another shape, and where the record has no variances.
    """
    known, variances = values[ERRORS], values.get(VARIANCES)
    if errors.shape != known.shape or variances is None:
        return np.full(len(known), np.inf)
    scales = Scales.of_variances(variances, record.sigmas if record.facts.by_sigma else None)
    return compared({ERRORS: known}, {ERRORS: errors}, scales).by_item
