"""Softmaxes over parts of a source, merged into the one over all of it.

Every process has minima, totals and sums relative to its minima. The smallest of all minima is
everybody's, totals and sums are made relative to that, and added up: what a running softmax does
from block to block, between processes. A whole source is left as it is.
"""

from collections.abc import Sequence
from itertools import accumulate

import torch
from torch import Tensor

from fpmc_bench.engine.machine.sharing import Sharing
from fpmc_bench.engine.softmax import RunningSoftmax


def share_minima(softmaxes: Sequence[RunningSoftmax], sharing: Sharing) -> list[Tensor]:
    """Minima become those of all processes; the factors [M,b] on what this one has summed."""
    minima = [softmax.minimum for softmax in softmaxes]
    merged = _apart(sharing.minimum(_joined(minima)), minima)
    return [softmax.lower(new) for softmax, new in zip(softmaxes, merged, strict=True)]


def share_sums(
    softmaxes: Sequence[RunningSoftmax], sums: Sequence[Tensor], sharing: Sharing
) -> list[Tensor]:
    """Totals become those of all processes, whose minima are shared; `sums` [...] likewise."""
    found = summed([*(softmax.total for softmax in softmaxes), *sums], sharing)
    for softmax, total in zip(softmaxes, found, strict=False):
        softmax.total = total
    return found[len(softmaxes) :]


def summed(arrays: Sequence[Tensor], sharing: Sharing) -> list[Tensor]:
    """Each array [...] summed over all processes, in one message."""
    return _apart(sharing.sum(_joined(arrays)), arrays)


def _joined(arrays: Sequence[Tensor]) -> Tensor:
    return torch.cat([array.flatten() for array in arrays])


def _apart(joined: Tensor, like: Sequence[Tensor]) -> list[Tensor]:
    ends = list(accumulate(array.numel() for array in like))
    return [
        joined[end - array.numel() : end].view(array.shape)
        for end, array in zip(ends, like, strict=True)
    ]
