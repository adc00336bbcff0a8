"""The items at which a row errs most, with their images where these were kept."""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fpmc_bench.documents.items import ItemValues
from fpmc_bench.results.predictions import predictions_path, read_predictions, read_reference
from fpmc_bench.results.site.board import Board
from fpmc_bench.results.site.pictures import (
    Strip,
    codes_of,
    difference_codes,
    strip_of,
    strip_png,
)
from fpmc_bench.results.site.slugs import slug
from fpmc_bench.results.statistics import item_means
from fpmc_bench.results.table import RANKED_BY

WORST = 5


@dataclass(frozen=True)
class WorstItem:
    """An item, its error, and how many times its row's mean that is.

    `level` is that of its noise levels at which its error is largest, None where it has none.
    """

    number: int
    error: float
    times: float
    level: int | None


@dataclass(frozen=True)
class WorstImages:
    """Of items, the worst first, what the reference and the row make of them.

    `of` is among how many items they are the worst: all, or those whose images were kept.
    """

    items: tuple[WorstItem, ...]
    of: int
    reference: Strip
    prediction: Strip
    difference: Strip


def worst_items(values: ItemValues, of: int | None = None) -> list[WorstItem]:
    """Those with the largest error, from [items,S] or [items] by metric; the largest first.

    `of`: among the first so many items.
    """
    errors = item_means(values[RANKED_BY])
    mean = float(errors.mean())
    order = np.argsort(-errors[:of], kind="stable")[:WORST]
    return [_item(values[RANKED_BY], int(number), float(errors[number]), mean) for number in order]


def worst_images(
    board: Board, entry: str, protocol: str, files: dict[str, bytes]
) -> WorstImages | None:
    """Of all items where the run kept its predictions, else of its samples; None without either.

    Their PNGs are added to `files`. RunError where predictions are not those of the record.
    """
    record, values = board.records[entry, protocol]
    reference, *_ = samples = board.samples.get(protocol, {"": np.empty(0)})
    if predictions_path(board.directory, record.stem).is_file():
        items = worst_items(values)
        theirs = _chosen(read_reference(board.directory, record), items)
        mine = _chosen(read_predictions(board.directory, record, values), items)
        of = record.items
    elif entry in samples and entry != reference:
        of = len(board.samples[protocol][entry])
        items = worst_items(values, of)
        theirs, mine = (
            _chosen(board.samples[protocol][name], items) for name in (reference, entry)
        )
    else:
        return None
    strips = []
    for kind, codes in (
        ("reference", codes_of(theirs)),
        ("prediction", codes_of(mine)),
        ("difference", difference_codes(mine, theirs)),
    ):
        src = f"images/worst-{protocol}-{kind}-{slug(entry)}.png"
        files[src] = strip_png(codes)
        strips.append(strip_of(src, codes))
    return WorstImages(tuple(items), of, *strips)


def _item(errors: NDArray[np.float64], number: int, error: float, mean: float) -> WorstItem:
    level = int(np.argmax(errors[number])) if errors.ndim == 2 else None
    return WorstItem(number, error, error / mean if mean else math.nan, level)


def _chosen(images: NDArray[np.floating], items: list[WorstItem]) -> NDArray[np.floating]:
    """[n,C,H,W] of [items,C,H,W], or of [items,S,C,H,W] at each item's level."""
    return np.stack(
        [images[one.number if images.ndim == 4 else (one.number, one.level)] for one in items]
    )
