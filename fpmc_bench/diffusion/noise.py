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
    return torch.Generator("cpu").manual_seed(int.from_bytes(digest[:8], "little") >> 1)


def unit_noise(seed: int, stream: str, items: Iterable[int], shape: tuple[int, ...]) -> Tensor:
    """Standard normal float32 [n,*shape] on the CPU, one row for each of n `items`.

    A row depends on (seed, stream, its item) alone. `shape` is that of one image, [C,H,W].
    """
    keys = list(items)
    # not of the process's default type, on its default device: equal keys are equal noise anywhere
    found = torch.empty(len(keys), *shape, dtype=torch.float32, device="cpu")
    for row, item in zip(found, keys, strict=True):
        row.normal_(generator=generator(seed, stream, item))
    return found
