"""Per-item values: what lies in a record's sidecar, metric by metric, and which items go together.

The array of `r2-pooled@1` holds the variance of each item's reference, by which errors are divided
once they are summed; every other metric's array holds the metric itself.
"""

import hashlib
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from fpmc_bench.errors import InputError
from fpmc_bench.storage.arrays import Arrays

GROUPS: Final = "groups"
"""Of a sidecar's arrays the one that is no metric's: a metric's name has a version."""


@dataclass(frozen=True, eq=False)
class ItemValues(Mapping[str, NDArray[np.float64]]):
    """A mapping: metric -> values of every item, [items, sigmas] or [items].

    `groups` [items] int64: which picture, patient or clip an item is of; items of one group are not
    independent, and errors are clustered by it. None where every item is on its own.

    InputError where the groups are not a whole number an item.
    """

    by_metric: Mapping[str, NDArray[np.float64]]
    groups: NDArray[np.int64] | None = None

    def __post_init__(self) -> None:
        if self.groups is None:
            return
        lengths = {len(array) for array in self.by_metric.values() if array.ndim}
        if self.groups.dtype != np.int64 or self.groups.ndim != 1:
            raise InputError(
                f"groups must be whole numbers of 64 bits, one an item, got {self.groups.dtype} "
                f"of shape {self.groups.shape}"
            )
        if lengths != {len(self.groups)}:
            raise InputError(
                f"there must be a group for every item, got {len(self.groups)} groups and values "
                f"of {sorted(lengths)} items"
            )

    def __repr__(self) -> str:
        shape = next((list(array.shape) for array in self.by_metric.values()), [])
        grouped = "" if self.groups is None else f", {self.group_count} groups"
        return f"ItemValues({', '.join(self.by_metric)}: {shape}{grouped})"

    def __getitem__(self, metric: str) -> NDArray[np.float64]:
        return self.by_metric[metric]

    def __iter__(self) -> Iterator[str]:
        return iter(self.by_metric)

    def __len__(self) -> int:
        return len(self.by_metric)

    @property
    def group_count(self) -> int | None:
        """How many groups there are; None where every item is on its own."""
        return None if self.groups is None else len(np.unique(self.groups))

    def is_grouped_by(self, groups: NDArray[np.int64] | None) -> bool:
        """Whether its items come in these groups [items], by the same numbers; None: in none."""
        if self.groups is None or groups is None:
            return self.groups is None and groups is None
        return np.array_equal(self.groups, groups)

    @property
    def arrays(self) -> Arrays:
        """What a sidecar holds: [items, sigmas] or [items] by metric, and the groups [items]."""
        groups = {} if self.groups is None else {GROUPS: self.groups}
        return {**self.by_metric, **groups}

    @classmethod
    def of(cls, arrays: Arrays) -> "ItemValues":
        """From those of a sidecar, [items, sigmas] or [items]; InputError for odd groups."""
        metrics = {name: array for name, array in arrays.items() if name != GROUPS}
        return cls(metrics, arrays.get(GROUPS))

    @property
    def digest(self) -> str:
        """sha256 over the values metric by metric, and over the groups where there are any."""
        digest = hashlib.sha256()
        for metric in sorted(self):
            array = np.ascontiguousarray(self[metric], dtype=np.float64)
            digest.update(f"{metric} {array.shape}".encode() + array.tobytes())
        if self.groups is not None:
            digest.update(f"{GROUPS} {self.groups.shape}".encode() + self.groups.tobytes())
        return digest.hexdigest()


def most_bytes(shape: tuple[int, ...], metrics: int) -> int:
    """That a sidecar can need: values of `shape` for so many metrics, and a group an item."""
    return 8 * (math.prod(shape) * metrics + shape[0])
