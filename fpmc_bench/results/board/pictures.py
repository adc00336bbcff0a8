"""Samples and trajectories that lie beside records, held against the items and each other.

Each row's samples are compared with the reference's, which stand first: their `mse@1` is that of
the row's first items, or the pictures are of something else. It may differ by what another
machine's reference would, for rows are added from many: as `verify` compares items.
A trajectory ends at its sample, and all begin with the same noise.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from fpmc_bench.documents.attestation import TOLERANCE
from fpmc_bench.documents.items import ItemValues
from fpmc_bench.documents.protocols import PROTOCOLS
from fpmc_bench.documents.record import Record
from fpmc_bench.results.anew import ERRORS, Scales, compared
from fpmc_bench.results.board.findings import AS_PUBLISHED, Finding, Findings, noted
from fpmc_bench.results.render.sample_grid import read_samples
from fpmc_bench.results.table import RANKED_BY
from fpmc_bench.results.trajectories import (
    TRAJECTORIES,
    Codes,
    read_trajectories,
    trajectory_codes,
)

Images = NDArray[np.floating]
"""Of one row, [n,C,H,W]."""


@dataclass(frozen=True)
class Pictures:
    """What was found of samples and trajectories; `images`: how many samples were compared."""

    faults: Findings
    notes: Findings
    images: int


def look_at_pictures(
    directory: Path, records: Sequence[tuple[Record, ItemValues]], stems: Collection[str]
) -> Pictures:
    """Those of a run directory against its records, each with its items, [items] or more.

    `stems` are those of all records that there are, of which some can't be read.
    """
    done = Pictures([], [], 0)
    samples: dict[str, Images] = {}
    for protocol in PROTOCOLS:
        name = f"samples/{protocol}.npz"
        if not (directory / name).is_file():
            continue
        with noted(done.faults, directory, name):
            rows = read_samples(directory / name)
            mine = {one.entry: values for one, values in records if one.protocol == protocol}
            reference = next((one.reference for one, _ in records if one.protocol == protocol), "")
            found = [
                f"row '{row}' has no record; bring that back, or run the suite here"
                for row in rows
                if row != reference and f"{row}.{protocol}" not in stems
            ]
            found += _unlike(rows, mine, reference)
            done.faults.extend(Finding(name, text) for text in found)
            lacking = sorted(mine.keys() - rows.keys())
            done.notes.extend(Finding(name, f"no samples of '{row}' are kept") for row in lacking)
            samples |= rows
    name = f"samples/{TRAJECTORIES}"
    if (directory / name).is_file():
        with noted(done.faults, directory, name):
            ways = read_trajectories(directory / name).rows
            done.faults.extend(Finding(name, text) for text in _astray(ways, samples))
    return replace(done, images=sum(map(len, samples.values())))


def _unlike(
    rows: Mapping[str, Images], records: Mapping[str, ItemValues], reference: str
) -> list[str]:
    if next(iter(rows), None) != reference:
        return [f"its first row is not the reference, {reference}; {AS_PUBLISHED}"]
    target = rows[reference].astype(np.float64)
    scales = Scales.of(rows[reference], None)
    found = []
    for row, images in rows.items():
        if RANKED_BY not in records.get(row, ()):
            continue  # the reference's, or of a record that has findings of its own
        stated = records[row][RANKED_BY][: len(images)]
        if images.shape != target.shape or stated.shape != (len(images),):
            found.append(f"row '{row}' is of another shape than the reference's; {AS_PUBLISHED}")
            continue
        errors = np.square(images - target).mean(axis=(1, 2, 3))
        far = compared({ERRORS: stated}, {ERRORS: errors}, scales).by_item > TOLERANCE
        if far.any():
            item = int(far.argmax())
            found.append(
                f"image {item} of row '{row}' has the error {errors[item]:g}, and the record says "
                f"{stated[item]:g}; {AS_PUBLISHED}"
            )
    return found


def _astray(ways: Mapping[str, Codes], samples: Mapping[str, Images]) -> list[str]:
    """Trajectories that don't begin as the others do, or don't end at their row's samples."""
    found = []
    for row, codes in ways.items():
        if row not in samples:
            found.append(f"row '{row}' has no samples; {AS_PUBLISHED}")
            continue
        images = samples[row][: codes.shape[1]]
        end = trajectory_codes(images[:, None], images[:, None], [0.0])[1, :, 0]
        noisy, denoised = codes[0, :, 0], codes[1, :, -1]
        if end.shape != denoised.shape or _apart(end, denoised):
            found.append(f"the trajectories of '{row}' don't end at its samples; {AS_PUBLISHED}")
        if _apart(noisy, next(iter(ways.values()))[0, :, 0]):
            found.append(
                f"the trajectories of '{row}' don't begin with the noise that all share; "
                f"{AS_PUBLISHED}"
            )
    return found


def _apart(a: Codes, b: Codes) -> bool:
    """By more than one code, which rounding may make."""
    return bool((np.abs(a.astype(np.int16) - b.astype(np.int16)) > 1).any())
