"""Arrays in .npz files: written whole or not at all, read without any pickle, within bounds."""

import io
import math
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from fpmc_bench.errors import RunError
from fpmc_bench.storage.atomic import write_atomically

Arrays = dict[str, NDArray[Any]]

KINDS = "biufU"
"""Of numpy's types, what ours are of: truth values, numbers and text."""
METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
"""How members may be packed: of others zipfile unpacks all at once, whatever they state."""
OVERHEAD_BYTES = 2**20
"""What a file may have beside its arrays: names and headers of them, and of a zip."""


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


def read_arrays(path: Path, at_most: int) -> Arrays:
    """All arrays of a file, of any shapes, by name, of `at_most` bytes together.

    Nothing is unpacked before the sizes that the file and its members state are known to be
    plausible, and no more than these is unpacked. RunError names a file that is missing, damaged,
    hostile or larger, the last with its size and the limit.
    """
    try:
        with path.open("rb") as file:
            _refuse_larger(path, path.stat().st_size, at_most)
            with zipfile.ZipFile(file) as archive:
                members = archive.infolist()
                _refuse_larger(path, sum(member.file_size for member in members), at_most)
                arrays = {_name(member): _array(archive, member) for member in members}
    except RunError:
        raise
    except OSError as error:
        raise RunError(f"{path} can't be read ({error.strerror or error})") from error
    except Exception as error:  # damage makes zipfile, zlib and numpy raise anything
        raise _damaged(path, f"{type(error).__name__}: {error}".partition("\n")[0]) from error
    if len(arrays) < len(members):
        raise _damaged(path, "it has two arrays of one name")
    return arrays


def _refuse_larger(path: Path, size: int, at_most: int) -> None:
    if size > at_most + OVERHEAD_BYTES:
        raise RunError(
            f"{path} would take {size} bytes, and {at_most} is the most that it can need: it is "
            f"damaged, or not to be trusted"
        )


def _damaged(path: Path, reason: str) -> RunError:
    return RunError(f"{path} can't be read: it is damaged, or holds no arrays ({reason})")


def _name(member: zipfile.ZipInfo) -> str:
    return member.filename.removesuffix(".npy")


def _array(archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> NDArray[Any]:
    """One array, once its header has said no more than there is; ValueError for others."""
    if member.compress_type not in METHODS:
        raise ValueError(f"a member is packed by method {member.compress_type}")
    with archive.open(member) as stream:
        _refuse_other_size(stream, member.file_size)
    with archive.open(member) as stream:  # which ends after the size that it states
        array: NDArray[Any] = np.lib.format.read_array(stream, allow_pickle=False)
        return array


def _refuse_other_size(stream: IO[bytes], size: int) -> None:
    """ValueError unless a member of `size` bytes is a header and the array that it tells of."""
    readers = {
        (1, 0): np.lib.format.read_array_header_1_0,
        (2, 0): np.lib.format.read_array_header_2_0,
    }
    version = np.lib.format.read_magic(stream)
    if version not in readers:
        raise ValueError(f"an array is written by version {version} of its format")
    shape, _, dtype = readers[version](stream)
    if dtype.kind not in KINDS or dtype.itemsize == 0 or min(shape, default=0) < 0:
        raise ValueError(f"an array is of {dtype} and shape {shape}")
    if stream.tell() + math.prod(shape) * dtype.itemsize != size:
        raise ValueError(f"an array says that it is of {dtype} and shape {shape}, and is not")
