"""Arrays in .npz files: written whole or not at all, read without any pickle."""

import io
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fpmc_bench.errors import RunError
from fpmc_bench.storage.atomic import write_atomically

Arrays = dict[str, NDArray[Any]]

MOST_BYTES = 2**33
"""Of all arrays of a file together, before a small file that expands to more is read."""


def write_arrays(
    path: Path, arrays: Mapping[str, NDArray[Any]], *, compressed: bool = False
) -> None:
    """Put arrays of any shapes, by any names, at `path`; equal arrays give equal bytes.

    ValueError for an array of objects, which only a pickle could hold.
    """
    buffer = io.BytesIO()
    method = zipfile.ZIP_DEFLATED if compressed else zipfile.ZIP_STORED
    # as numpy.savez does it, whose own parameters are names that an array can't have
    with zipfile.ZipFile(buffer, "w", method) as archive:
        for name, array in arrays.items():
            with archive.open(f"{name}.npy", "w", force_zip64=True) as member:
                np.lib.format.write_array(member, np.asanyarray(array), allow_pickle=False)
    write_atomically(path, buffer.getvalue())


def read_arrays(path: Path) -> Arrays:
    """All arrays of a file, of any shapes, by name.

    RunError names a file that is missing, damaged or hostile.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise RunError(f"{path} can't be read ({error.strerror or error})") from error
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            members = archive.infolist()
            if (size := sum(member.file_size for member in members)) > MOST_BYTES:
                raise ValueError(f"it would expand to {size} bytes")
            return {
                member.filename.removesuffix(".npy"): _array(archive, member) for member in members
            }
    except Exception as error:  # damage makes zipfile, zlib and numpy raise anything
        reason = f"{type(error).__name__}: {error}".partition("\n")[0]
        raise RunError(
            f"{path} can't be read: it is damaged, or holds no arrays ({reason})"
        ) from error


def _array(archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> NDArray[Any]:
    with archive.open(member) as stream:
        array: NDArray[Any] = np.lib.format.read_array(stream, allow_pickle=False)
        return array
