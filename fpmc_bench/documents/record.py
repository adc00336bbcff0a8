"""Record: the published outcome of one entry under one protocol, a frozen JSON document.

Beside `<entry>.<protocol>.json` lies `<entry>.<protocol>.npz` with the per-item values of every
metric: [items, sigmas] for denoiser-mse, [items] for sample-mse.
"""

import hashlib
import io
import zipfile
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, ValidationError

from fpmc_bench.documents.suite import Protocol
from fpmc_bench.errors import RunError
from fpmc_bench.storage.atomic import write_atomically

ItemValues = dict[str, NDArray[np.float64]]
"""Metric -> per-item values, [items, sigmas] or [items]."""


class _Frozen(BaseModel):
    # parameters may be infinite, which JSON can only say as text
    model_config = ConfigDict(frozen=True, extra="forbid", ser_json_inf_nan="strings")


class Figure(_Frozen):
    """A mean over items with its standard error s / sqrt(n)."""

    mean: float
    standard_error: float
    n: int


class SigmaFigures(_Frozen):
    """The figures of one noise level, metric by metric."""

    sigma: float
    figures: dict[str, Figure]


class PluginOrigin(_Frozen):
    """The distribution that a denoiser came from."""

    distribution: str
    version: str


class Fingerprints(_Frozen):
    """Content hashes of everything the figures were computed from."""

    suite: str
    dataset_train: str
    dataset_test: str
    source: str
    tuning_teacher: str
    evaluation_teacher: str


class Cost(_Frozen):
    """What the entry took: medians over blocks, on the machine under `environment`."""

    seconds_per_query: float
    queries: int


class Record(_Frozen):
    """Figures of one entry under one protocol. Metrics are named `metric@version`.

    `figures` averages over items (and, for denoiser-mse, over the sigma grid); `per_sigma` is
    empty for sample-mse. `role` is `ceiling` for the other teacher's row.
    """

    schema_version: Literal[1] = 1
    suite: str
    protocol: Protocol
    entry: str
    role: Literal["entry", "ceiling"]
    denoiser: str
    params: dict[str, Any]
    augmentations: list[dict[str, Any]]
    reference: str
    items: int
    seed: int
    sigmas: list[float]
    figures: dict[str, Figure]
    per_sigma: list[SigmaFigures]
    items_sha256: str
    plugin: PluginOrigin
    fingerprints: Fingerprints
    environment: dict[str, Any]
    cost: Cost

    @property
    def stem(self) -> str:
        return f"{self.entry}.{self.protocol}"


def items_digest(values: ItemValues) -> str:
    """sha256 over the per-item values, metric by metric."""
    digest = hashlib.sha256()
    for metric in sorted(values):
        array = np.ascontiguousarray(values[metric], dtype=np.float64)
        digest.update(f"{metric} {array.shape}".encode() + array.tobytes())
    return digest.hexdigest()


def write_record(directory: Path, record: Record, values: ItemValues) -> Path:
    """Write the record and its sidecar, each whole or not at all; returns the record's path."""
    buffer = io.BytesIO()
    np.savez_compressed(buffer, **values)  # type: ignore[arg-type]
    write_atomically(directory / f"{record.stem}.npz", buffer.getvalue())
    text = record.model_dump_json(indent=2) + "\n"
    path = directory / f"{record.stem}.json"
    write_atomically(path, text.encode())
    return path


def read_record(path: Path) -> tuple[Record, ItemValues]:
    """A record and its per-item values; RunError where either is missing, damaged or altered."""
    try:
        record = Record.model_validate_json(path.read_bytes())
    except OSError as error:
        raise RunError(f"record {path} can't be read: {error}") from error
    except ValidationError as error:
        fault = error.errors()[0]
        where = ".".join(str(part) for part in fault["loc"])
        raise RunError(f"{path} is not a record: {where}: {fault['msg']}") from error
    sidecar = path.with_suffix(".npz")
    try:
        with np.load(io.BytesIO(sidecar.read_bytes()), allow_pickle=False) as file:
            values = {metric: file[metric] for metric in file.files}
    except (OSError, ValueError, EOFError, zipfile.BadZipFile) as error:
        raise RunError(f"per-item values {sidecar} can't be read: {error}") from error
    if items_digest(values) != record.items_sha256:
        raise RunError(f"{sidecar} does not hold the values that {path.name} was made from")
    return record, values


def read_records(directory: Path) -> list[tuple[Record, ItemValues]]:
    """All records of a folder, by file name; RunError where there is none."""
    paths = sorted(directory.glob("*.json"))
    if not paths:
        raise RunError(f"no records (*.json) in {directory}")
    return [read_record(path) for path in paths]
