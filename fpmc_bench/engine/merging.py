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


def merge_softmaxes(softmaxes: Sequence[RunningSoftmax], sharing: Sharing) -> list[Tensor]:
    """Minima and totals become those of all processes; factors [M,b] on what this one summed."""
    minima = [softmax.minimum for softmax in softmaxes]
    merged = _apart(sharing.minimum(_joined(minima)), minima)
    factors = [softmax.lower(new) for softmax, new in zip(softmaxes, merged, strict=True)]
    totals = summed([softmax.total for softmax in softmaxes], sharing)
    for softmax, total in zip(softmaxes, totals, strict=True):
        softmax.total = total
    return factors


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
