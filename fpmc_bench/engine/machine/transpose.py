"""Rows of images into columns of images: what reading a block costs beside everything else.

A processor moves bytes one by one through a transposition. Moved four at a time, as words that are
taken apart afterwards in whole vectors, they take less than half as long.
"""

import sys

import torch
from torch import Tensor

WORD_BYTES = 4


def transpose_into(out: Tensor, rows: Tensor) -> None:
    """out [D,n] = rows [n,D].T: from any dtype to a floating-point one that holds its values."""
    if _as_words(rows):
        words = rows.view(torch.int32).T
        _unpack(words.clone(memory_format=torch.contiguous_format), out)
    else:
        out.copy_(rows.T)


def _as_words(rows: Tensor) -> bool:
    """Whether rows are bytes on a processor that can be read as words, lowest byte first."""
    return (
        rows.dtype == torch.uint8
        and rows.device.type == "cpu"
        and rows.shape[1] % WORD_BYTES == 0
        and rows.is_contiguous()
        and rows.storage_offset() % WORD_BYTES == 0
        and sys.byteorder == "little"
    )


def _unpack(words: Tensor, out: Tensor) -> None:
    """Bytes j of words [D/4,n] into rows j, 4 + j, 8 + j, ... of out; words are used up."""
    lowest = torch.empty_like(words)
    for byte in out.unflatten(0, (-1, WORD_BYTES)).unbind(1):
        byte.copy_(torch.bitwise_and(words, 0xFF, out=lowest))
        words.bitwise_right_shift_(8)
