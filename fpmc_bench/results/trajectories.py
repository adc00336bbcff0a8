"""Trajectories beside the records: how a few images are denoised, as codes for display."""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from fpmc_bench.documents.names import ROW_NAME
from fpmc_bench.errors import RunError
from fpmc_bench.storage.arrays import read_arrays, write_arrays
from fpmc_bench.storage.notations import parsed_json

TRAJECTORIES = "trajectories.npz"
"""The file, among the samples of a run directory."""
TRAJECTORY_ITEMS = 3
"""How many items a row are shown on their way: the first of the protocol."""
ORDER, SIGMAS = ".order", ".sigmas"
"""Arrays of the file that list its rows (JSON) and the noise levels: no row is called that."""
MOST_EXPANSION, SMALL_BYTES = 20, 2**24
"""Trajectories take so many times their file at most (two is usual), or so little."""

Codes = NDArray[np.uint8]
"""Of one row, [2,n,S,C,H,W] from 0 to 255, for -1 to 1: `noisy, denoised = codes`.

Image k at level s is z on its way, divided by sqrt(sigma^2 + 1) so that its spread is about the
same at all levels, and D(z, sigma); both clamped to [-1, 1]. All rows begin with the same noise.
"""


@dataclass(frozen=True)
class Trajectories:
    """Rows in order, the reference first, all of one shape, at `sigmas` [S], descending."""

    sigmas: tuple[float, ...]
    rows: Mapping[str, Codes]

    def __repr__(self) -> str:
        return f"Trajectories({len(self.sigmas)} noise levels, rows={list(self.rows)})"


def trajectory_codes(
    noisy: NDArray[np.floating], denoised: NDArray[np.floating], sigmas: Sequence[float]
) -> Codes:
    """Of z and D(z, sigma), [n,S,C,H,W] each, at `sigmas` [S]."""
    spread = np.sqrt(np.square(sigmas) + 1).reshape(-1, 1, 1, 1)
    values = np.clip(np.stack([noisy / spread, denoised]), -1, 1)
    codes: Codes = np.rint((values + 1) * 127.5).astype(np.uint8)
    return codes


def write_trajectories(path: Path, found: Trajectories) -> None:
    """Whole or not at all; equal trajectories give equal bytes."""
    listed = {ORDER: np.array(json.dumps(list(found.rows))), SIGMAS: np.array(found.sigmas)}
    write_arrays(path, {**found.rows, **listed}, compressed=True)


def read_trajectories(path: Path) -> Trajectories:
    """RunError where the file is missing, damaged, of another kind, or larger than it can be."""
    size = path.stat().st_size if path.is_file() else 0
    arrays = read_arrays(path, max(SMALL_BYTES, MOST_EXPANSION * size))
    try:
        rows = {name: arrays[name] for name in parsed_json(str(arrays[ORDER]))}
        sigmas = tuple(map(float, arrays[SIGMAS]))
    except (ValueError, KeyError, TypeError) as error:
        raise RunError(f"{path} is not a file of trajectories: {error!r:.200}") from error
    shapes = {codes.shape for codes in rows.values()}
    for name, codes in rows.items():
        if re.fullmatch(ROW_NAME, name) is None:
            raise RunError(f"{path} is not a file of trajectories: no row is called {name[:40]!r}")
        if not _plausible(codes, len(sigmas)) or len(shapes) > 1:
            raise RunError(
                f"{path} is not a file of trajectories: '{name}' is {codes.dtype} "
                f"{list(codes.shape)}; expected uint8 [2,n,{len(sigmas)},C,H,W] as of all rows, "
                f"with n from 1 to {TRAJECTORY_ITEMS}"
            )
    return Trajectories(sigmas, rows)


def _plausible(codes: NDArray[np.generic], levels: int) -> bool:
    return (
        codes.dtype == np.uint8
        and codes.ndim == 6
        and len(codes) == 2
        and 1 <= codes.shape[1] <= TRAJECTORY_ITEMS
        and codes.shape[2] == levels
    )
