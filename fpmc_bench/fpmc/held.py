"""What values hold in memory: the storages of their tensors, each counted once, and content."""

from collections.abc import Iterator, Mapping
from dataclasses import is_dataclass
from zlib import crc32

import torch
from torch import Tensor


def held_storages(*values: object) -> dict[tuple[str, int], int]:
    """Bytes of each storage that a tensor in `values` lies in, by its device and address.

    Looks into sequences, mappings and dataclasses. A view holds all of the storage it is a part
    of; tensors that share one appear once.
    """
    return {
        (str(tensor.device), tensor.untyped_storage().data_ptr()): tensor.untyped_storage().nbytes()
        for tensor in _tensors(values)
    }


def held_bytes(*values: object) -> int:
    """Bytes that the tensors in `values` keep from being freed."""
    return sum(held_storages(*values).values())


def held_checksum(*values: object) -> int:
    """Of the content of the tensors in `values`, in their order; for chance, not against forgery.

    Views of one storage count as often as they are there.
    """
    checksum = 0
    for tensor in _tensors(values):
        content = tensor.detach().cpu().contiguous().flatten().view(torch.uint8)
        checksum = crc32(content.numpy().data, checksum)
    return checksum


def _tensors(value: object) -> Iterator[Tensor]:
    if isinstance(value, Tensor):
        yield value
    elif isinstance(value, Mapping):
        yield from _tensors(tuple(value.values()))
    elif isinstance(value, list | tuple):
        for part in value:
            yield from _tensors(part)
    elif is_dataclass(value) and not isinstance(value, type):
        yield from _tensors(vars(value))
