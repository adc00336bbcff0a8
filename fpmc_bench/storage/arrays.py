"""Arrays in .npz files: written whole or not at all, read without any pickle."""

import io
import zipfile
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fpmc_bench.errors import RunError
from fpmc_bench.storage.atomic import write_atomically

Arrays = dict[str, NDArray[Any]]


def write_arrays(
    path: Path, arrays: Mapping[str, NDArray[Any]], *, compressed: bool = False
) -> None:
    """Put arrays of any shapes, by name, at `path`."""
    buffer = io.BytesIO()
    save = np.savez_compressed if compressed else np.savez
    save(buffer, **arrays)  # type: ignore[arg-type]
    write_atomically(path, buffer.getvalue())


def read_arrays(path: Path) -> Arrays:
    """All arrays of a file, by name; RunError names a file that is missing or damaged."""
    try:
        with np.load(io.BytesIO(path.read_bytes()), allow_pickle=False) as file:
            return {name: file[name] for name in file.files}
    except (OSError, EOFError, ValueError, TypeError, zipfile.BadZipFile, zlib.error) as error:
        raise RunError(f"{path} can't be read: {error}") from error
