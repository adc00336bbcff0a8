"""Two rows, item by item: how much one is worse, how surely, and what it would take to be sure.

Everything is of a - b over the items that both were measured on. What is independent, an item or a
group of items, is a *unit* here: errors are clustered by it, and it is what intervals resample.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri, stdtrit
from scipy.stats import nct

from fpmc_bench.documents.items import ItemValues
from fpmc_bench.documents.protocols import PROTOCOLS
from fpmc_bench.documents.record import Record
from fpmc_bench.errors import RunError
from fpmc_bench.results.checks import different_items, refuse_altered
from fpmc_bench.results.intervals import Interval, interval_of
from fpmc_bench.results.sides import Pair
from fpmc_bench.results.statistics import SIGNIFICANCE, holm, paired_difference
from fpmc_bench.results.summaries import contributions
from fpmc_bench.results.table import RANKED_BY

POWER = 0.8
"""With which as many units as `needed` would find a difference."""
MOST_COUNTED = 1000
"""Units, above which a spread is as good as known."""
MORE_IS_BETTER = ("r2", "r2-pooled")
"""Metrics of which a row should have much; of all others it should have little."""


@dataclass(frozen=True)
class Comparison:
    """Row `a` less row `b` in one metric, over all noise levels or at one (`sigma`).

    `adjusted_p` is Holm's, over all comparisons that are made at once. `wins`: items on which `a`
    is better; `ties`: on which both are the same number. `needed`: units (groups where there are
    any, else items) that would tell the two apart, `math.inf` where none would, for they don't
    differ; None where nothing is known of it.
    """

    protocol: str
    metric: str
    a: str
    b: str
    sigma: float | None
    items: int
    groups: int | None
    difference: float
    standard_error: float
    interval: Interval
    p_value: float
    adjusted_p: float
    wins: int
    ties: int
    losses: int
    needed: float | None

    @property
    def is_told_apart(self) -> bool:
        """Whether the two differ at `SIGNIFICANCE`, for all comparisons together."""
        return self.adjusted_p < SIGNIFICANCE


def compare(
    pairs: Sequence[Pair], metric: str = RANKED_BY, *, by_sigma: bool = False
) -> tuple[Comparison, ...]:
    """Every pair of rows under all protocols that it has, or at each noise level that they have,
    protocols in the order of tables.

    p-values, and what is needed, are for all comparisons of a protocol together. RunError names two
    rows and what differs where they were not measured on the same items, against the same network
    and in `metric`; where a record's figures are not those of its items; and where no protocol of
    the pairs measures by noise level.
    """
    found: dict[str, list[Comparison]] = {}
    for pair in pairs:
        for protocol in pair.protocols:
            a, b = pair.a.records[protocol], pair.b.records[protocol]
            _refuse(pair, protocol, a, b, metric)
            levels = range(len(a[0].per_sigma)) if by_sigma else [None]
            found.setdefault(protocol, []).extend(
                _comparison(pair, a, b, metric, level) for level in levels
            )
    if not any(found.values()):
        raise RunError(f"{', '.join(found)} measures an item with all noise levels, not at each")
    return tuple(
        one for protocol in PROTOCOLS if protocol in found for one in _together(found[protocol])
    )


def needed_units(difference: float, spread: float, comparisons: int = 1) -> float:
    """Units, at least 2, with which a paired t-test finds a difference in four of five cases.

    `spread`: standard deviation of a unit's difference. At `SIGNIFICANCE` shared by so many
    comparisons (Bonferroni). `math.inf` for no difference.
    """
    if difference == 0:
        return math.inf
    tail, effect = SIGNIFICANCE / comparisons / 2, abs(difference)
    if spread == 0:
        return 2
    # as if the spread were known, which takes a few less
    known = (float(ndtri(1 - tail) + ndtri(POWER)) * spread / effect) ** 2
    if known > MOST_COUNTED:
        return known if math.isinf(known) else math.ceil(known)
    units = max(math.floor(known), 2)
    while _power(units, effect / spread, tail) < POWER:
        units += 1
    return units


def _power(units: int, effect: float, tail: float) -> float:
    """Of a t-test of so many units whose mean is `effect` standard deviations from 0."""
    limit = stdtrit(units - 1, 1 - tail)
    return float(nct.sf(limit, units - 1, effect * math.sqrt(units)))


def _together(comparisons: Sequence[Comparison]) -> list[Comparison]:
    """The same, each as one of so many."""
    adjusted, count = _adjusted([one.p_value for one in comparisons]), len(comparisons)
    together = []
    for one, p in zip(comparisons, adjusted, strict=True):
        spread = one.standard_error * math.sqrt(one.groups or one.items)
        needed = needed_units(one.difference, spread, count) if math.isfinite(spread) else None
        together.append(replace(one, adjusted_p=float(p), needed=needed))
    return together


def _refuse(
    pair: Pair,
    protocol: str,
    a: tuple[Record, ItemValues],
    b: tuple[Record, ItemValues],
    metric: str,
) -> None:
    for side, (record, values) in ((pair.a, a), (pair.b, b)):
        refuse_altered(record, values, RANKED_BY)
        if metric not in values:
            raise RunError(
                f"{side.name} has no {metric} under {protocol}, but {', '.join(sorted(values))}"
            )
    if difference := different_items(a, b):
        raise RunError(
            f"{pair.a.name} and {pair.b.name} can't be compared item by item under {protocol}: "
            f"{difference}"
        )


def _comparison(
    pair: Pair,
    a: tuple[Record, ItemValues],
    b: tuple[Record, ItemValues],
    metric: str,
    level: int | None,
) -> Comparison:
    record, values = a
    first, second = (contributions(side[1], metric, level) for side in (a, b))
    found = paired_difference(first, second, values.groups)
    differences = first - second
    sign = -1 if metric.partition("@")[0] in MORE_IS_BETTER else 1
    return Comparison(
        protocol=record.protocol,
        metric=metric,
        a=pair.a.name,
        b=pair.b.name,
        sigma=None if level is None else record.sigmas[level],
        items=found.n,
        groups=values.group_count,
        difference=found.mean,
        standard_error=found.standard_error,
        interval=interval_of(differences, found, values.groups),
        p_value=found.p_value,
        adjusted_p=found.p_value,
        wins=int((sign * differences < 0).sum()),
        ties=int((differences == 0).sum()),
        losses=int((sign * differences > 0).sum()),
        needed=None,
    )


def _adjusted(p_values: Sequence[float]) -> NDArray[np.float64]:
    """Holm's, of those that are known; the others are NaN."""
    p = np.array(p_values)
    known = np.isfinite(p)
    p[known] = holm(p[known].tolist())
    return p
