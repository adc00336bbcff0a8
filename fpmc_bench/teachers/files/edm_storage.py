"""The tensors of a pickled EDM network: torch's own byte streams, parsed here.

A pickled tensor names a storage; a storage is a `torch.save` stream in the format before zip
(torch.serialization, `_legacy_save`): five pickles (magic number, version, system, the storage's
reference, its keys) and then its length and numbers. `torch.load` would allocate whatever length
the stream claims before it looks for the numbers; here the length has to be what is there.
"""

import io
import struct
from typing import Any

import numpy as np
import torch
from torch import Tensor

from fpmc_bench.errors import CheckpointError
from fpmc_bench.storage.pickled import ENCODE, Name, Node, Persistent, bytes_of, shown
from fpmc_bench.storage.restricted_pickle import read_pickle

KIND = "published EDM file"
REBUILD_TENSOR = "torch._utils._rebuild_tensor_v2"
REBUILD_PARAMETER = "torch._utils._rebuild_parameter"
LOAD_STORAGE = "torch.storage._load_from_bytes"
TENSOR_NAMES = frozenset({REBUILD_TENSOR, REBUILD_PARAMETER, LOAD_STORAGE, ENCODE})
STORAGE_TYPES: dict[str, "np.dtype[Any]"] = {
    "torch.FloatStorage": np.dtype("<f4"),
    "torch.HalfStorage": np.dtype("<f2"),
}
MAGIC_NUMBER = 0x1950A86A20F9469CFC6C
VERSION = 1001
MOST_DIMENSIONS = 8


class TensorReader:
    """Turns the Nodes of one file into tensors; a storage that several share is read once.

    A file may name the same bytes for many storages, each a copy in memory: all of them together
    may hold no more than the `file_bytes` of the file.
    """

    def __init__(self, origin: str, file_bytes: int) -> None:
        self.origin, self._bytes_left = origin, file_bytes
        # by the id of the Node, which is kept so that no other can have it
        self._storages: dict[int, tuple[Node, Tensor]] = {}

    def read(self, value: Any, name: str) -> Tensor:
        """The tensor or parameter called `name`, of any shape, float32 or float16, on the CPU.

        CheckpointError where `value` is none, or asks for more than its storage or the file holds.
        """
        where = f"{self.origin}: '{name}'"
        if isinstance(value, Node) and value.name == REBUILD_PARAMETER and value.args:
            value = value.args[0]
        if not (isinstance(value, Node) and value.name == REBUILD_TENSOR and len(value.args) >= 4):
            raise CheckpointError(
                f"{where} is not a tensor but {shown(value)}; the file is damaged"
            )
        storage, offset, shape, stride = value.args[:4]
        flat = self._storage(storage, where)
        if not (
            _sizes((offset,))
            and _sizes(shape)
            and _sizes(stride)
            and len(shape) == len(stride) <= MOST_DIMENSIONS
        ):
            raise CheckpointError(f"{where} has no valid shape; the file is damaged")
        last = offset + sum((n - 1) * step for n, step in zip(shape, stride, strict=True))
        count = int(np.prod([int(n) for n in shape], dtype=object))
        if count == 0 or count > len(flat) or last >= len(flat):
            raise CheckpointError(
                f"{where} asks for {count} numbers up to number {last} of the {len(flat)} that "
                f"its storage holds; the file is damaged or hostile"
            )
        return flat.as_strided(shape, stride, offset)

    def _storage(self, node: Any, where: str) -> Tensor:
        if not (isinstance(node, Node) and node.name == LOAD_STORAGE and len(node.args) == 1):
            raise CheckpointError(f"{where} has no storage; the file is damaged")
        if id(node) not in self._storages:
            content = bytes_of(node.args[0])
            if content is None:
                raise CheckpointError(f"{where} has a storage without bytes; the file is damaged")
            self._bytes_left -= len(content)
            if self._bytes_left < 0:
                raise CheckpointError(
                    f"{where}: with its storage all are larger than the file; it is damaged or "
                    f"hostile"
                )
            self._storages[id(node)] = node, read_storage(content, where)
        return self._storages[id(node)][1]


def read_storage(content: bytes, where: str) -> Tensor:
    """The numbers [N] of a storage that torch saved in its format before zip.

    Raises CheckpointError, with `where` in it, for anything else.
    """
    if content[:2] == b"PK":
        raise CheckpointError(
            f"{where} is a storage in torch's zip format; expected the format in which torch "
            f"pickles the storages of tensors"
        )
    stream = io.BytesIO(content)
    origin = f"{where}, its storage"
    head = [read_pickle(stream, (), origin, KIND) for _ in range(3)]
    if head[:2] != [MAGIC_NUMBER, VERSION]:
        raise CheckpointError(f"{origin} is not a stream of torch.save; the file is damaged")
    if not isinstance(head[2], dict) or head[2].get("little_endian") is not True:
        raise CheckpointError(f"{origin} was not saved on a little-endian machine")
    reference = read_pickle(stream, _AnyStorage(), origin, KIND)
    keys = read_pickle(stream, (), origin, KIND)
    key = reference.key if isinstance(reference, Persistent) else None
    if not (
        isinstance(key, tuple)
        and len(key) in (5, 6)
        and key[0] == "storage"
        and isinstance(key[1], Name)
        and isinstance(keys, list)
        and len(keys) == 1
        and isinstance(keys[0], str)
        and keys[0] == key[2]
    ):
        raise CheckpointError(f"{origin} is not one storage; the file is damaged")
    if key[1].text not in STORAGE_TYPES:
        raise CheckpointError(
            f"{origin} is a {shown(key[1].text)}; expected float32 or float16 numbers"
        )
    dtype = STORAGE_TYPES[key[1].text]
    start = stream.tell() + 8
    held = (len(content) - start) // dtype.itemsize if len(content) >= start else -1
    count = struct.unpack("<q", content[start - 8 : start])[0] if held >= 0 else None
    if count != held or count != key[4] or len(content) != start + held * dtype.itemsize:
        raise CheckpointError(
            f"{origin} claims {count} numbers ({shown(key[4])} in its reference) and holds "
            f"{max(held, 0)}; the file is truncated, damaged or hostile"
        )
    return torch.from_numpy(np.frombuffer(content, dtype, held, start).copy())


def _sizes(values: Any) -> bool:
    """Whether this is a tuple of sizes that torch can represent."""
    return isinstance(values, tuple) and all(type(n) is int and 0 <= n < 2**40 for n in values)


class _AnyStorage(frozenset[str]):
    """Every `torch.*Storage`: an error then says which type it is, and not that it is unknown."""

    def __contains__(self, name: object) -> bool:
        text = str(name)
        return text.startswith("torch.") and text.endswith("Storage")
