"""What a study compares: rows against their base, item by item and noise level by noise level."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fpmc_bench.documents.items import ItemValues
from fpmc_bench.documents.names import parse_selection, selection_name
from fpmc_bench.documents.record import Record
from fpmc_bench.documents.study import StudyRow
from fpmc_bench.results.statistics import mean_and_error, paired_difference

METRIC = "mse@1"
Rows = Mapping[str, tuple[Record, ItemValues]]
"""Records of denoiser-mse by the name of their entry."""


@dataclass(frozen=True)
class FinetunePoint:
    """One base with some axes learned, at one noise level: errors, and their paired difference."""

    base: str
    axes: str
    sigma: float
    items: int
    base_mse: float
    base_mse_se: float
    mse: float
    mse_se: float
    difference: float
    difference_se: float

    @property
    def change_percent(self) -> float:
        """Of the base's error, as is `change_percent_se`; NaN where the base has none."""
        return _percent_of(self.base_mse) * self.difference

    @property
    def change_percent_se(self) -> float:
        return _percent_of(self.base_mse) * self.difference_se


@dataclass(frozen=True)
class AugmentationPoint:
    """One base over one augmented source at one noise level: error relative to the base's."""

    base: str
    augmentation: str
    rate: float
    sigma: float
    items: int
    change_percent: float
    change_percent_se: float


def finetune_points(rows: Sequence[StudyRow], records: Rows) -> list[FinetunePoint]:
    """Rows whose record is lacking, for they failed, are left out."""
    points = []
    for row, base, own in _pairs(rows, records):
        record, values = records[row.name]
        for level, sigma in enumerate(record.sigmas):
            before, after = base[:, level], own[:, level]
            first = mean_and_error(before, values.groups)
            second = mean_and_error(after, values.groups)
            change = paired_difference(after, before, values.groups)
            points.append(
                FinetunePoint(
                    row.base,
                    "".join(row.axes),
                    sigma,
                    len(after),
                    first.mean,
                    first.standard_error,
                    second.mean,
                    second.standard_error,
                    change.mean,
                    change.standard_error,
                )
            )
    return points


def augmentation_points(rows: Sequence[StudyRow], records: Rows) -> list[AugmentationPoint]:
    """The relative change is that of the mean, its error that of the paired difference."""
    points = []
    for row, base, own in _pairs(rows, records):
        (choice,) = row.augmentations
        record, values = records[row.name]
        for level, sigma in enumerate(record.sigmas):
            change = paired_difference(own[:, level], base[:, level], values.groups)
            scale = _percent_of(float(base[:, level].mean()))
            points.append(
                AugmentationPoint(
                    row.base,
                    choice.name,
                    choice.rate,
                    sigma,
                    change.n,
                    scale * change.mean,
                    scale * change.standard_error,
                )
            )
    return points


def base_titles(points: Sequence[FinetunePoint] | Sequence[AugmentationPoint]) -> dict[str, str]:
    """Bases in order, with a short name where that tells them apart."""
    bases = dict.fromkeys(point.base for point in points)
    short = [base.partition("[")[0] for base in bases]
    return {
        base: name if short.count(name) == 1 else selection_name(*parse_selection(base))
        for base, name in zip(bases, short, strict=True)
    }


def _pairs(
    rows: Sequence[StudyRow], records: Rows
) -> list[tuple[StudyRow, NDArray[np.float64], NDArray[np.float64]]]:
    """Every changed row with its base's errors and its own, [items, sigmas] each."""
    plain = {row.base: row.name for row in rows if not row.axes and not row.augmentations}
    return [
        (row, records[plain[row.base]][1][METRIC], records[row.name][1][METRIC])
        for row in rows
        if row.name != plain[row.base] and row.name in records and plain[row.base] in records
    ]


def change_percent(before: float, after: float) -> float:
    """Of an error; NaN where it was none before."""
    return _percent_of(before) * (after - before)


def _percent_of(error: float) -> float:
    return 100 / error if error else math.nan
