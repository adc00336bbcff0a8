"""Where a row fails: its worst items, at which noise level, and what they look like."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from fpmc_bench.documents.items import ItemValues
from fpmc_bench.documents.protocols import PROTOCOLS
from fpmc_bench.documents.record import Record, read_record
from fpmc_bench.errors import RunError, UsageError
from fpmc_bench.results.checks import refuse_altered
from fpmc_bench.results.predictions import (
    KEEP_THEM,
    predictions_path,
    read_predictions,
    read_reference,
)
from fpmc_bench.results.render.sample_grid import draw_sample_grid, read_samples
from fpmc_bench.results.statistics import item_means
from fpmc_bench.results.table import RANKED_BY
from fpmc_bench.storage.atomic import write_atomically


@dataclass(frozen=True)
class WorstItem:
    """One item of a row: its mse@1, averaged over noise levels where there are several.

    `sigma` is the noise level where the error is largest and `at_sigma` the error there, None where
    the protocol doesn't measure by noise level. `group` is what the item is of, where the dataset
    says so.
    """

    item: int
    value: float
    sigma: float | None = None
    at_sigma: float | None = None
    group: int | None = None


@dataclass(frozen=True, repr=False)
class WorstItems:
    """Some items of one row, the worst first, or the best; `items` are how many it has."""

    entry: str
    protocol: str
    reference: str
    items: int
    worst: tuple[WorstItem, ...]

    def __repr__(self) -> str:
        listed = ", ".join(f"{one.item}: {one.value:.3g}" for one in self.worst)
        return f"WorstItems({self.entry}.{self.protocol}, {listed})"


def worst_items(
    directory: str | Path,
    entry: str,
    *,
    protocol: str | None = None,
    count: int = 8,
    best: bool = False,
) -> WorstItems:
    """The `count` items of an entry that have the largest error, or the smallest with `best`.

    `directory` is a run directory or a folder of records. Without `protocol` it is the first that
    the entry has a record of. UsageError, with the names that there are, where it has none;
    RunError for a record that was altered.
    """
    if count < 1:
        raise UsageError(f"{count} items were asked for; expected at least 1")
    record, values = _record(Path(directory), entry, protocol)
    chosen = worst_of(record, values, count, best=best)
    return WorstItems(record.entry, record.protocol, record.reference, record.items, chosen)


def worst_of(
    record: Record,
    values: ItemValues,
    count: int,
    *,
    best: bool = False,
    among: int | None = None,
) -> tuple[WorstItem, ...]:
    """Those of a record with its per-item values, [items,S] or [items] by metric.

    `among`: of the first so many items.
    """
    means = item_means(values[RANKED_BY])[:among]
    # those that are not a number are worse than any; of equal ones the first comes first
    order = np.argsort(means if best else -np.nan_to_num(means, nan=np.inf), kind="stable")
    return tuple(_item(record, values, int(item)) for item in order[:count])


def images_of(
    images: NDArray[np.floating], items: Sequence[WorstItem], record: Record
) -> NDArray[np.floating]:
    """[n,C,H,W] of [items,C,H,W], or of [items,S,C,H,W] at each item's worst noise level."""
    places = [
        (one.item,) if one.sigma is None else (one.item, record.sigmas.index(one.sigma))
        for one in items
    ]
    return np.stack([images[place] for place in places])


def write_worst_items(directory: str | Path, found: WorstItems, path: str | Path) -> Path:
    """A PNG of the items: reference, prediction and their difference, grey where there is none.

    By noise level each is shown where its error is largest. Pictures are of the predictions that
    the run has kept, else of its first samples; RunError names items that neither has. UsageError
    where the directory has no such record.
    """
    run_dir, target = Path(directory), Path(path)
    reference, prediction = _images(run_dir, found)
    rows = {
        f"reference: {found.reference}": reference,
        found.entry: prediction,
        f"{found.entry} - reference": prediction - reference,
    }
    headings = [[f"item {one.item}" for one in found.worst]]
    if all(one.sigma is not None for one in found.worst):
        headings.append([f"sigma {one.sigma:.3g}" for one in found.worst])
    headings.append(
        [f"mse {one.value if one.at_sigma is None else one.at_sigma:.3g}" for one in found.worst]
    )
    write_atomically(target, draw_sample_grid(rows, headings))
    return target


def _record(directory: Path, entry: str, protocol: str | None) -> tuple[Record, ItemValues]:
    inside = directory / "records"
    folder = inside if inside.is_dir() else directory
    paths = {one: folder / f"{entry}.{one}.json" for one in ([protocol] if protocol else PROTOCOLS)}
    for path in paths.values():
        if path.is_file():
            record, values = read_record(path)
            refuse_altered(record, values, RANKED_BY)
            return record, values
    known = sorted(path.stem for path in folder.glob("*.json"))
    raise UsageError(
        f"{folder} has no record of '{entry}'{f' under {protocol}' if protocol else ''}; it has "
        f"{', '.join(known) or 'none'}"
    )


def _item(record: Record, values: ItemValues, item: int) -> WorstItem:
    own = values[RANKED_BY][item]
    mean = float(np.mean(own))
    group = None if values.groups is None else int(values.groups[item])
    if not record.facts.by_sigma:
        return WorstItem(item, mean, group=group)
    level = int(np.argmax(np.nan_to_num(own, nan=np.inf)))
    return WorstItem(item, mean, record.sigmas[level], float(own[level]), group)


def _images(run_dir: Path, found: WorstItems) -> tuple[NDArray[np.floating], NDArray[np.floating]]:
    """Reference and prediction of every item, [n,C,H,W] each."""
    record, values = _record(run_dir, found.entry, found.protocol)
    items = [one.item for one in found.worst]
    if predictions_path(run_dir, record.stem).is_file():
        pair: Sequence[NDArray[np.floating]] = (
            read_reference(run_dir, record),
            read_predictions(run_dir, record, values),
        )
    else:
        path = run_dir / "samples" / f"{record.protocol}.npz"
        rows = read_samples(path) if path.is_file() else {}
        pair = [rows.get(name, np.empty(0)) for name in (next(iter(rows), ""), record.entry)]
    lacking = [item for item in items if item >= min(map(len, pair))]
    if lacking:
        raise RunError(
            f"{run_dir} has kept no predictions of items {', '.join(map(str, lacking))} of "
            f"{record.stem}: {KEEP_THEM}"
        )
    return images_of(pair[0], found.worst, record), images_of(pair[1], found.worst, record)
