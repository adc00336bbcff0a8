"""Keyed noise: a random stream for every (seed, purpose, item), the same on every machine.

Noise is drawn on the CPU, one item at a time, so that neither the batch size, nor the number of
processes, nor the device can change a single item's noise.
"""

import hashlib
from collections.abc import Iterable

import torch
from torch import Tensor


def generator(seed: int, stream: str, item: int) -> torch.Generator:
    """A CPU generator keyed by content: equal keys, equal numbers; any other key, unrelated.

    The key is (seed, stream, item): `stream` names the purpose, `item` counts within it.
    """
    digest = hashlib.sha256(f"{seed}/{stream}/{item}".encode()).digest()
    return torch.Generator().manual_seed(int.from_bytes(digest[:8], "little") >> 1)


def unit_noise(seed: int, stream: str, items: Iterable[int], shape: tuple[int, ...]) -> Tensor:
    """Standard normal float32 [n,*shape] on the CPU, one row for each of n `items`.

    A row depends on (seed, stream, its item) alone. `shape` is that of one image, [C,H,W].
    """
    rows = [torch.randn(shape, generator=generator(seed, stream, item)) for item in items]
    return torch.stack(rows) if rows else torch.empty(0, *shape)
