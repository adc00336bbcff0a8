"""The official python archive of CIFAR-10, whose files are pickles: read as data, never run.

Each holds a dict of `data`, a numpy array [n,3072] of bytes, and `labels`. Python 2 wrote the
official ones; those that Python 3 wrote again differ in how they hold bytes.
"""

import io
import tarfile
from pathlib import Path
from typing import Any, Literal, Self

import numpy as np

from fpmc_bench.errors import CheckpointError, InputError
from fpmc_bench.storage.mapped import reserved_array
from fpmc_bench.storage.pickled import ENCODE, Node, bytes_of, shown, text_of
from fpmc_bench.storage.restricted_pickle import read_pickle

TRAIN_FILES = tuple(f"data_batch_{number}" for number in range(1, 6))
TEST_FILES = ("test_batch",)
FOLDER = "cifar-10-batches-py"
IMAGE_SHAPE, IMAGE_BYTES = (3, 32, 32), 3 * 32 * 32
MAX_FILE_BYTES = 2**26
MAX_MEMBERS, MAX_NAME_BYTES = 1000, 2**16
"""Of an archive, which has nine, and of what describes one of them."""
MAX_INSTRUCTIONS = 200_000
"""Of a file's pickle, which has about five for each of its 10 000 images."""
GZIP = b"\x1f\x8b"
DESCRIPTIONS = {
    *(tarfile.XHDTYPE, tarfile.XGLTYPE, tarfile.SOLARIS_XHDTYPE),
    *(tarfile.GNUTYPE_LONGNAME, tarfile.GNUTYPE_LONGLINK),
}
"""Types of headers whose content is told of the file that comes after them."""
RECONSTRUCT = frozenset(f"numpy.{core}.multiarray._reconstruct" for core in ("core", "_core"))
KNOWN_NAMES = RECONSTRUCT | {"numpy.ndarray", "numpy.dtype", ENCODE}
"""Every name that such a file mentions, and no other."""


def read_cifar_archive(path: str | Path, split: str, target: str | Path) -> tuple[int, ...]:
    """Write the images of a split to a .npy [N,3,32,32] uint8 and return their labels, 0 to 9.

    `path` is cifar-10-python.tar.gz or the folder cifar-10-batches-py. InputError names the file
    that is missing, damaged or hostile; then nothing is written.
    """
    path, target = Path(path), Path(target)
    names = TRAIN_FILES if split == "train" else TEST_FILES
    contents = _from_folder(path, names) if path.is_dir() else _from_tar(path, names)
    images, labels = [], []
    for name, content in zip(names, contents, strict=True):
        values, classes = _batch(content, f"{path}: {name}")
        images.append(values)
        labels += classes
    shape = (len(labels), *IMAGE_SHAPE)
    np.concatenate(images, out=reserved_array(target, np.uint8, shape)).flush()
    return tuple(labels)


def _from_folder(path: Path, names: tuple[str, ...]) -> list[bytes]:
    missing = [name for name in names if not (path / name).is_file()]
    if missing:
        raise InputError(
            f"{path} has no {missing[0]}; expected the folder {FOLDER}, unpacked whole"
        )
    large = [name for name in names if (path / name).stat().st_size > MAX_FILE_BYTES]
    if large:
        raise InputError(f"{path / large[0]} is larger than any file of CIFAR-10")
    return [(path / name).read_bytes() for name in names]


def _from_tar(path: Path, names: tuple[str, ...]) -> list[bytes]:
    """Members are read by name and never unpacked."""
    found: dict[str, bytes] = {}
    try:
        with path.open("rb") as file:
            mode: Literal["r:gz", "r:"] = "r:gz" if file.read(2) == GZIP else "r:"
        with tarfile.open(path, mode, tarinfo=_BoundedInfo) as archive:
            for count, member in enumerate(archive):
                if count >= MAX_MEMBERS:
                    raise InputError(f"{path} has more than {MAX_MEMBERS} files; CIFAR-10 has nine")
                folder, _, name = member.name.rpartition("/")
                if member.size > MAX_FILE_BYTES:
                    raise InputError(f"{path}: {member.name} is larger than any file of CIFAR-10")
                if folder.endswith(FOLDER) and name in names and member.isreg():
                    content = archive.extractfile(member)
                    found[name] = content.read() if content else b""
    except InputError:
        raise
    except Exception as error:  # damage makes tarfile and zlib raise anything
        raise InputError(
            f"{path} is no tar archive, or was cut short ({error}); fetch it again with "
            f"'fpmc-bench data fetch cifar10'"
        ) from error
    missing = [name for name in names if name not in found]
    if missing:
        raise InputError(
            f"{path} has no {FOLDER}/{missing[0]}; expected cifar-10-python.tar.gz, the python "
            f"version of CIFAR-10"
        )
    return [found[name] for name in names]


class _BoundedInfo(tarfile.TarInfo):
    """A header of the archive. What follows one as a long name is read into memory at once."""

    @classmethod
    def frombuf(cls, *args: Any) -> Self:
        info = super().frombuf(*args)
        if info.type in DESCRIPTIONS and info.size > MAX_NAME_BYTES:
            raise InputError(
                f"an archive of CIFAR-10 describes a file by {info.size} bytes; expected at most "
                f"{MAX_NAME_BYTES}: it is not to be trusted"
            )
        return info


def _batch(content: bytes, name: str) -> tuple[np.ndarray, list[int]]:
    """Images [n,3,32,32] uint8 and classes of one file."""
    try:
        batch = read_pickle(
            io.BytesIO(content), KNOWN_NAMES, name, "file of CIFAR-10", MAX_INSTRUCTIONS
        )
    except CheckpointError as error:
        raise InputError(str(error)) from error
    found = batch if isinstance(batch, dict) else {}
    data, labels = _array_bytes(found.get("data")), found.get("labels")
    if data is None or not isinstance(labels, list) or any(type(one) is not int for one in labels):
        raise InputError(
            f"{name} is no batch of CIFAR-10: its data is {shown(found.get('data'))}, its labels "
            f"{shown(labels)}; expected a numpy array of bytes and a list of numbers. Fetch the "
            f"archive again"
        )
    if len(data) != (expected := len(labels) * IMAGE_BYTES):
        raise InputError(
            f"{name} is no batch of CIFAR-10: it has {len(data)} bytes of images, expected "
            f"{expected} for its {len(labels)} labels; fetch the archive again"
        )
    return np.frombuffer(data, np.uint8).reshape(-1, *IMAGE_SHAPE), labels


def _array_bytes(value: Any) -> bytes | None:
    """The content of a pickled numpy array of bytes, in C order; None of anything else."""
    if not (isinstance(value, Node) and value.name in RECONSTRUCT):
        return None
    match value.state:  # what ndarray.__setstate__ takes
        case (_, tuple(), Node(name="numpy.dtype", args=(kind, *_)), fortran, content):
            return bytes_of(content) if text_of(kind) == "u1" and not fortran else None
    return None
