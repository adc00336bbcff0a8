"""Trajectories as rows of small images, from noise to sample, and the files of these."""

from dataclasses import dataclass

from fpmc_bench.errors import RunError
from fpmc_bench.results.site.board import Board
from fpmc_bench.results.site.pictures import Strip, strip_of, strip_png
from fpmc_bench.results.site.slugs import slug


@dataclass(frozen=True)
class JourneyRow:
    """One row's way to one item: z and D(z, sigma) at every noise level."""

    label: str
    noisy: Strip
    denoised: Strip


@dataclass(frozen=True)
class Journey:
    """All rows' ways from the noise of item `number`, the reference's first."""

    number: int
    sigmas: tuple[float, ...]
    rows: tuple[JourneyRow, ...]


def journeys(board: Board, files: dict[str, bytes]) -> list[Journey]:
    """Of every item whose trajectories were kept; their PNGs are added to `files`.

    Paths are those inside the board's own folder. RunError where they are no images.
    """
    found = board.trajectories
    if found is None or not found.rows:
        return []
    _, items, levels, channels, height, width = next(iter(found.rows.values())).shape
    if channels not in (1, 3) or 0 in (levels, height, width):
        raise RunError(
            f"samples/trajectories.npz of {board.name} has images of {channels} channels and "
            f"{height} x {width} pixels at {levels} noise levels; expected some, of 1 or 3 channels"
        )
    labels = board.ranked(found.rows)
    return [
        Journey(item, found.sigmas, tuple(_row(board, label, item, files) for label in labels))
        for item in range(items)
    ]


def journeys_of(all_rows: list[Journey], entry: str) -> list[Journey]:
    """The same of one row below the reference's; none where it has none."""
    mine = []
    for one in all_rows:
        reference, *others = one.rows
        rows = [row for row in others if row.label == entry]
        if rows:
            mine.append(Journey(one.number, one.sigmas, (reference, *rows)))
    return mine


def _row(board: Board, label: str, item: int, files: dict[str, bytes]) -> JourneyRow:
    assert board.trajectories is not None
    strips = []
    for kind, codes in zip(("noisy", "denoised"), board.trajectories.rows[label], strict=True):
        src = f"images/trajectory-{item}-{kind}-{slug(label)}.png"
        files[src] = strip_png(codes[item])
        strips.append(strip_of(src, codes[item]))
    return JourneyRow(label, *strips)
