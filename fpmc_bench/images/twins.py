"""Equal images: those that are in a data set twice, or on both sides of its split."""

import hashlib
from collections.abc import Iterator

import torch
from torch import Tensor

AT_ONCE = 1024


def repeated_images(images: Tensor) -> int:
    """How many of [N,C,H,W] equal one before them, in every value as it is stored."""
    return len(images) - len(set(_digests(images)))


def shared_images(images: Tensor, others: Tensor) -> int:
    """How many of [N,C,H,W] are among the others, [M,C,H,W], in every value as it is stored."""
    known = set(_digests(others))
    return sum(digest in known for digest in _digests(images))


def _digests(images: Tensor) -> Iterator[bytes]:
    """Of every image's bytes, a part of the images in memory at a time."""
    for start in range(0, len(images), AT_ONCE):
        part = images[start : start + AT_ONCE].contiguous().cpu().flatten(1).view(torch.uint8)
        for row in part.numpy():
            yield hashlib.blake2b(row.data, digest_size=16).digest()
