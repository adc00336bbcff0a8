"""A safetensors file that stays open: a tensor is read when it is asked for, and not kept."""

import hashlib
import math
import os
import weakref
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from fpmc_bench.errors import CheckpointError
from fpmc_bench.storage.notations import parsed_json
from fpmc_bench.storage.tensors import card_of, other_file, refuse_missing, unsealed

DTYPES = {
    "F64": torch.float64,
    "F32": torch.float32,
    "F16": torch.float16,
    "BF16": torch.bfloat16,
    "I64": torch.int64,
    "I32": torch.int32,
    "U8": torch.uint8,
    "BOOL": torch.bool,
}
"""safetensors' names of what tensors of ours are made of."""


@dataclass(frozen=True)
class _Extent:
    """Where in the file a tensor begins, in bytes, and what it is."""

    start: int
    shape: tuple[int, ...]
    dtype: torch.dtype


class TensorFile(Mapping[str, Tensor]):
    """Name -> tensor, on the CPU, of a file that `save_tensors` wrote; holds none of them.

    `card` is the file's, `fingerprint` the sha256 of its bytes. What was opened is what is read,
    whatever is put in its place. Read and not mapped: of a mapping all pages that were ever touched
    count as this process's memory, and a file that somebody cuts short would end it.
    """

    def __init__(self, path: Path, written_by: str) -> None:
        """Raises CheckpointError for anything else than the command `written_by` writes.

        Reads all of the file, a tensor at a time.
        """
        refuse_missing(path, written_by)
        try:
            self._file = path.open("rb")
            weakref.finalize(self, self._file.close)
            self._state = self._found_state()
            self.fingerprint = hashlib.file_digest(self._file, "sha256").hexdigest()
            header, start = self._header()
            metadata = _metadata(header)
            self._places = {name: self._place(entry, start) for name, entry in header.items()}
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise other_file(path, error, written_by) from error
        self.path = path
        self.card = unsealed(path, card_of(path, metadata, written_by), self)

    def __getitem__(self, name: str) -> Tensor:
        """Read it, of the shape and type it was written with; KeyError where there is none.

        CheckpointError where somebody has written into the file since it was opened.
        """
        place = self._places[name]
        tensor = torch.empty(place.shape, dtype=place.dtype)
        content = tensor.reshape(-1).view(torch.uint8).numpy().data
        self._file.seek(place.start)
        if self._file.readinto(content) < len(content) or self._found_state() != self._state:
            raise CheckpointError(f"{self.path} was changed while it was in use; start again")
        return tensor

    def __contains__(self, name: object) -> bool:
        return name in self._places

    def __iter__(self) -> Iterator[str]:
        return iter(self._places)

    def __len__(self) -> int:
        return len(self._places)

    def _found_state(self) -> tuple[int, int]:
        found = os.fstat(self._file.fileno())
        return found.st_size, found.st_mtime_ns

    def _header(self) -> tuple[dict[str, Any], int]:
        """The JSON object that the file begins with, after its length, and where it ends."""
        self._file.seek(0)
        length = int.from_bytes(self._file.read(8), "little")
        if length > self._state[0] - 8:
            raise ValueError("its header is not whole")
        header = parsed_json(self._file.read(length))
        if not isinstance(header, dict):
            raise ValueError("its header is no JSON object")
        return header, 8 + length

    def _place(self, entry: Any, start: int) -> _Extent:
        shape, (first, end) = tuple(entry["shape"]), entry["data_offsets"]
        if entry["dtype"] not in DTYPES:
            raise ValueError(f"it holds numbers of type {entry['dtype']!r:.20}")
        dtype = DTYPES[entry["dtype"]]
        whole = (
            all(type(size) is int for size in (*shape, first, end)) and min(shape, default=1) > 0
        )
        if not whole or not 0 <= first <= end <= self._state[0] - start:
            raise ValueError("its header names places outside of it")
        if end - first != math.prod(shape) * dtype.itemsize:
            raise ValueError("its header gives a tensor another size than its shape has")
        return _Extent(start + first, shape, dtype)


def _metadata(header: dict[str, Any]) -> dict[str, str]:
    """Taken out of the header, whose other entries are tensors."""
    found = header.pop("__metadata__", {})
    if not isinstance(found, dict) or not all(isinstance(one, str) for one in found.values()):
        raise ValueError("its metadata is not text")
    return found
