"""The items at which a row errs most, with their images where these were kept."""

from dataclasses import dataclass

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
from fpmc_bench.results.worst import WorstItem, images_of, worst_of

WORST = 5


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


def worst_images(
    board: Board, entry: str, protocol: str, files: dict[str, bytes]
) -> WorstImages | None:
    """Of all items where the run kept its predictions, else of its samples; None without either.

    Their PNGs are added to `files`. RunError where predictions are not those of the record.
    """
    record, values = board.records[entry, protocol]
    samples = board.samples.get(protocol, {})
    if predictions_path(board.directory, record.stem).is_file():
        items = worst_of(record, values, WORST)
        theirs = images_of(read_reference(board.directory, record), items, record)
        mine = images_of(read_predictions(board.directory, record, values), items, record)
        of = record.items
    elif entry in samples and entry != (reference := next(iter(samples))):
        of = len(samples[entry])
        items = worst_of(record, values, WORST, among=of)
        theirs, mine = (images_of(samples[name], items, record) for name in (reference, entry))
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
    return WorstImages(items, of, *strips)
