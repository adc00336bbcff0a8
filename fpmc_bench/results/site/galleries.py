"""Samples under shared noise as rows of small images with their errors, and the files of these."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fpmc_bench.errors import RunError
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


@dataclass(frozen=True)
class SampleRow:
    """One row's samples; `errors` of them, [n], and `differences` from the reference.

    These are None for the reference itself, and `errors` for a row without a record.
    """

    label: str
    samples: Strip
    differences: Strip | None
    errors: tuple[float, ...] | None

    @property
    def worst(self) -> int | None:
        """The number of the sample with the largest error."""
        return int(np.argmax(self.errors)) if self.errors else None


@dataclass(frozen=True)
class Gallery:
    """All samples of a protocol: the reference's, then in the order of the tables."""

    protocol: str
    count: int
    rows: tuple[SampleRow, ...]

    def of(self, entry: str) -> "Gallery | None":
        """The reference's row and an entry's; None where that has no samples."""
        mine = [row for row in self.rows[1:] if row.label == entry]
        return Gallery(self.protocol, self.count, (self.rows[0], *mine)) if mine else None


def galleries(board: Board, files: dict[str, bytes]) -> dict[str, Gallery]:
    """Of every protocol whose samples were kept; their PNGs are added to `files`.

    Paths are those inside the board's own folder. RunError where samples are not of one shape.
    """
    return {
        protocol: _gallery(board, protocol, samples, files)
        for protocol, samples in board.samples.items()
        if samples
    }


def _gallery(
    board: Board,
    protocol: str,
    samples: Mapping[str, NDArray[np.floating]],
    files: dict[str, bytes],
) -> Gallery:
    reference, *others = board.ranked(samples)
    shape = samples[reference].shape
    rows = []
    for label in (reference, *others):
        images = samples[label]
        if (
            images.shape != shape
            or shape[1] not in (1, 3)
            or 0 in shape
            or not np.isfinite(images).all()
        ):
            raise RunError(
                f"samples/{protocol}.npz of {board.name}: '{label}' is {list(images.shape)} and "
                f"'{reference}' {list(shape)}; expected some images [n,C,H,W], "
                f"C 1 or 3, all finite"
            )
        name = f"images/{protocol}-{slug(label)}"
        shown = _added(f"{name}.png", codes_of(images), files)
        if label == reference:
            rows.append(SampleRow(label, shown, None, None))
            continue
        codes = difference_codes(images, samples[reference])
        differences = _added(f"{name}-difference.png", codes, files)
        rows.append(SampleRow(label, shown, differences, _errors(board, label, protocol, shape[0])))
    return Gallery(protocol, shape[0], tuple(rows))


def _added(src: str, codes: NDArray[np.uint8], files: dict[str, bytes]) -> Strip:
    files[src] = strip_png(codes)
    return strip_of(src, codes)


def _errors(board: Board, entry: str, protocol: str, count: int) -> tuple[float, ...] | None:
    """Of the first items, whose samples these are."""
    if (entry, protocol) not in board.records:
        return None
    _, values = board.records[entry, protocol]
    return tuple(map(float, item_means(values[RANKED_BY])[:count]))
