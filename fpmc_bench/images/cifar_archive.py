"""The official python archive of CIFAR-10, whose files are pickles: read without running them.

Of a pickle's instructions only those are followed that build dicts, lists, strings and numbers. The
four names that such a file mentions stand for records of ours; any other is refused.
"""

import io
import pickle
import tarfile
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from fpmc_bench.errors import InputError

TRAIN_FILES = tuple(f"data_batch_{number}" for number in range(1, 6))
TEST_FILES = ("test_batch",)
FOLDER = "cifar-10-batches-py"
IMAGE_SHAPE = (3, 32, 32)
MAX_FILE_BYTES = 2**26


def read_cifar_archive(path: Path, split: str, target: Path) -> tuple[int, ...]:
    """Write the images of a split to a .npy [N,3,32,32] and return their labels.

    `path` is cifar-10-python.tar.gz or the folder cifar-10-batches-py.
    """
    names = TRAIN_FILES if split == "train" else TEST_FILES
    contents = _from_folder(path, names) if path.is_dir() else _from_tar(path, names)
    images, labels = [], []
    for name, content in zip(names, contents, strict=True):
        values, classes = _batch(content, f"{path}: {name}")
        images.append(values)
        labels += classes
    np.save(target, np.concatenate(images))
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
        with tarfile.open(path, "r:*") as archive:
            for member in archive:
                folder, _, name = member.name.rpartition("/")
                if member.size > MAX_FILE_BYTES:
                    raise InputError(f"{path}: {member.name} is larger than any file of CIFAR-10")
                if folder.endswith(FOLDER) and name in names and member.isreg():
                    content = archive.extractfile(member)
                    found[name] = content.read() if content else b""
    except (tarfile.TarError, EOFError, OSError) as error:
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


def _batch(content: bytes, name: str) -> tuple[np.ndarray, list[int]]:
    """Images [n,3,32,32] uint8 and classes of one file."""
    try:
        batch = _Reader(io.BytesIO(content), encoding="bytes").load()
        data, labels = batch[b"data"], batch[b"labels"]
        values = np.frombuffer(data.content, np.uint8).reshape(-1, *IMAGE_SHAPE)
        if data.dtype != "u1" or len(values) != len(labels):
            raise ValueError(f"{len(values)} images of type {data.dtype}, {len(labels)} labels")
        return values, [int(label) for label in labels]
    except InputError as error:
        raise InputError(f"{name}: {error}") from error
    except Exception as error:  # a hostile pickle can make the reader raise anything
        raise InputError(
            f"{name} is no batch of CIFAR-10 ({type(error).__name__}: {error}); fetch the archive "
            f"again"
        ) from error


@dataclass
class _Dtype:
    name: str

    def __setstate__(self, state: Any) -> None:
        """Byte order and alignment: bytes have none."""


@dataclass
class _Array:
    """What numpy would make an array of."""

    content: bytes = b""
    dtype: str = ""
    shape: tuple[int, ...] = field(default=())

    def __setstate__(self, state: Any) -> None:
        _, self.shape, dtype, fortran, content = state
        if fortran or not isinstance(dtype, _Dtype) or not isinstance(content, bytes):
            raise ValueError("an array that is not a plain block of bytes")
        self.dtype, self.content = dtype.name, content


def _text(value: Any) -> str:
    return value.decode("ascii") if isinstance(value, bytes) else str(value)


def _latin1(text: Any, encoding: Any = "latin1") -> bytes:
    """How Python 3 writes bytes into a pickle of Python 2."""
    if not isinstance(text, str) or _text(encoding) != "latin1":
        raise ValueError("text that is not bytes in disguise")
    return text.encode("latin1")


_STAND_INS: dict[str, Callable[..., Any]] = {
    "_reconstruct": lambda *_: _Array(),
    "ndarray": _Array,
    "dtype": lambda name, *_: _Dtype(_text(name)),
    "encode": _latin1,
}
_HOMES = {
    "_reconstruct": ("numpy.core.multiarray", "numpy._core.multiarray"),
    "ndarray": ("numpy",),
    "dtype": ("numpy",),
    "encode": ("_codecs",),
}


class _Reader(pickle.Unpickler):
    """Finds nothing but the stand-ins: no module is imported, no callable of others is called."""

    def find_class(self, module_name: str, global_name: str) -> Any:
        if module_name not in _HOMES.get(global_name, ()):
            raise InputError(
                f"it names {module_name}.{global_name}, which no file of CIFAR-10 does: it is not "
                f"to be trusted, and nothing of it was run"
            )
        return _STAND_INS[global_name]
