"""Predictions that a run has kept beside its records, for whoever measures them otherwise.

A file a row, and one for the reference that all rows of a protocol are measured against. Each says
what it is of: of a row by the digest of its record's items, so that predictions of another record
are none of this one.
"""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from fpmc_bench.documents.attestation import TOLERANCE
from fpmc_bench.documents.items import ItemValues
from fpmc_bench.documents.record import Record
from fpmc_bench.errors import RunError
from fpmc_bench.results.anew import errors_apart
from fpmc_bench.storage.mapped import sealed_array

FOLDER = "predictions"
"""Of a run directory."""
CHUNK_ITEMS = 32

Predictions = NDArray[np.float32]
"""[items,S,C,H,W] where the protocol measures by noise level, else [items,C,H,W]."""


KEEP_THEM = (
    "give the command that made this run once more, its --items, --seed and -d included, with "
    "--keep-predictions"
)


def predictions_path(run_dir: Path, stem: str) -> Path:
    """Of the row whose record has this stem."""
    return run_dir / FOLDER / f"{stem}.npy"


def reference_path(run_dir: Path, protocol: str) -> Path:
    """Of the network that a protocol measures against."""
    return run_dir / FOLDER / "reference" / f"{protocol}.npy"


def kept_predictions(path: Path, of: str) -> Predictions | None:
    """Those of a file, mapped, of any shape, if it says that it is `of` this; else None."""
    found = sealed_array(path)
    return found[0] if found is not None and found[1] == of else None


def read_predictions(run_dir: Path, record: Record, values: ItemValues) -> Predictions:
    """Predictions of a record with its per-item `values`, mapped: [items,S,C,H,W] or [items,C,H,W].

    RunError, with what to do, where they were not kept or are those of another record, and where
    their errors against the reference that was kept are not the record's.
    """
    own = kept_predictions(predictions_path(run_dir, record.stem), record.items_sha256)
    if own is None:
        raise RunError(f"{run_dir} has no predictions of {record.stem}: {KEEP_THEM}")
    reference = read_reference(run_dir, record)
    if own.shape != reference.shape:
        raise _others(run_dir, record, f"have shape {list(own.shape)}, expected that")
    errors = np.concatenate(
        [
            np.square(own[start:stop].astype(np.float64) - reference[start:stop]).mean((-3, -2, -1))
            for start, stop in chunks(len(own))
        ]
    )
    if (item := disagreeing_item(record, values, errors)) is not None:
        raise _others(run_dir, record, f"have another error at item {item} against those")
    return own


def read_reference(run_dir: Path, record: Record) -> Predictions:
    """What the record was measured against, mapped: [items,S,C,H,W] or [items,C,H,W].

    RunError where it was not kept.
    """
    path = reference_path(run_dir, record.protocol)
    found = sealed_array(path)
    if found is None:
        raise RunError(
            f"{run_dir} has no predictions of the reference {record.reference}: {KEEP_THEM}"
        )
    array = found[0]
    if array.dtype != np.float32 or array.ndim != len(record.shape) + 3:
        raise RunError(f"{path} holds {array.dtype} {list(array.shape)}, which are no predictions")
    if array.shape[: len(record.shape)] != record.shape:
        raise RunError(
            f"{path} holds predictions {list(array.shape)}, but {record.stem} has {record.shape}"
        )
    return array


def disagreeing_item(record: Record, values: ItemValues, errors: NDArray[np.float64]) -> int | None:
    """The first item whose mse@1, [items] or [items,S], is not the record's; None for none.

    By as much as other threads and other products may move it, an item that is verified may differ.
    """
    far = errors_apart(record, values, errors) > TOLERANCE
    return int(far.argmax()) if far.any() else None


def chunks(items: int) -> list[tuple[int, int]]:
    """Ranges of items, few enough to be worked on in float64."""
    return [(start, min(start + CHUNK_ITEMS, items)) for start in range(0, items, CHUNK_ITEMS)]


def _others(run_dir: Path, record: Record, how: str) -> RunError:
    return RunError(
        f"the predictions of {record.stem} in {run_dir / FOLDER} {how} of the reference: they are "
        f"of another run; remove them and {KEEP_THEM}"
    )
