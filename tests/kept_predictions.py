"""Records with their predictions, as a run leaves them, without a run."""

from pathlib import Path

import numpy as np
import torch
from synthetic_records import write_synthetic

from fpmc_bench.documents.record import read_record
from fpmc_bench.protocols.metrics import METRICS
from fpmc_bench.results.predictions import predictions_path, reference_path
from fpmc_bench.results.published import KeptRow
from fpmc_bench.storage.mapped import seal


def write_kept(
    run_dir: Path,
    entry: str,
    predictions: np.ndarray,
    reference: np.ndarray,
    protocol: str = "denoiser-mse",
    **changes: object,
) -> KeptRow:
    """The record of these predictions, [items,S,C,H,W] or [items,C,H,W], at `run_dir`."""
    pair = [torch.from_numpy(one.astype(np.float32)) for one in (predictions, reference)]
    values = {name: metric(*pair).numpy() for name, metric in METRICS.items()}
    if protocol == "denoiser-mse":
        changes["sigmas"] = tuple(2.0**-level for level in range(predictions.shape[1]))
    path = write_synthetic(run_dir / "records", entry, values, protocol=protocol, **changes)  # type: ignore[arg-type]
    record, known = read_record(path)
    own = predictions_path(run_dir, record.stem)
    for file, array in zip((own, reference_path(run_dir, protocol)), pair, strict=True):
        file.parent.mkdir(parents=True, exist_ok=True)
        np.save(file, array.numpy())
        seal(file, file.name, record.items_sha256)
    return KeptRow(record, known, run_dir)
