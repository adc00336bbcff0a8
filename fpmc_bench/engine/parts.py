"""The part of a source that this process holds, where several processes hold one together.

Each evaluates its own images, and `merging.py` adds up what they found. Parts are ranges of images
in the order of the ranks. Of a union each of its parts is divided by itself: then what two unions
share is the same part in both, and lies on a GPU once.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from weakref import WeakKeyDictionary

import torch
from torch import Tensor

from fpmc_bench.engine.machine.sharing import Sharing
from fpmc_bench.fpmc.source import Source
from fpmc_bench.fpmc.union import Union

FIRST_IMAGES = 256
"""Of the whole source, which all processes know."""


@dataclass(frozen=True, eq=False, repr=False, kw_only=True)
class Part(Source):
    """Some images of a source of `in_all`, where they lie; no process holds more than `most`.

    A process for which no image is left holds one of no weight.
    """

    first: Tensor
    """The first images of the whole source as they are stored, [<= 256,C,H,W]."""
    in_all: int
    most: int
    sharing: Sharing

    def __post_init__(self) -> None:
        """The whole source has been checked. Of a part all images may be of no weight."""

    def __repr__(self) -> str:
        return f"Part({len(self)} of {self.in_all} images {self.shape}, {self.dtype})"

    def mapped(self, change: Callable[[Tensor], Tensor]) -> Source:
        return replace(self, images=change(self.images), first=change(self.first))


def part_of(source: Source, sharing: Sharing) -> Source:
    """What this process holds of a source: a part, or a union of parts. The same at every call."""
    # on the source itself, so that both go together
    known: WeakKeyDictionary[Sharing, Source] = source.__dict__.setdefault(
        "_parts_by_sharing", WeakKeyDictionary()
    )
    if sharing not in known:
        known[sharing] = _part_of(source, sharing)
    return known[sharing]


def sharing_of(source: Source) -> Sharing | None:
    """Those with whom this process shares the source of a part; None of a whole source."""
    one = source.parts[0] if isinstance(source, Union) else source
    return one.sharing if isinstance(one, Part) else None


def images_in_all(source: Source) -> int:
    """Of all processes."""
    if isinstance(source, Union):
        return sum(map(images_in_all, source.parts))
    return source.in_all if isinstance(source, Part) else len(source)


def most_images(source: Source) -> int:
    """Of the process that holds most: sizes follow from it, so that they are alike in all."""
    if isinstance(source, Union):
        return sum(map(most_images, source.parts))
    return source.most if isinstance(source, Part) else len(source)


def first_images(source: Source) -> Tensor:
    """Those of the whole source, [n,C,H,W] as they are stored: the same in every process."""
    if isinstance(source, Union) and sharing_of(source):
        return first_images(source.parts[0])
    return source.first if isinstance(source, Part) else source.stored(slice(FIRST_IMAGES))


def _part_of(source: Source, sharing: Sharing) -> Source:
    if isinstance(source, Union):
        return Union([part_of(part, sharing) for part in source.parts])
    most = -(-len(source) // sharing.world)
    rows = slice(sharing.rank * most, (sharing.rank + 1) * most)
    images, weights = source.images[rows], source.log_weights
    if not len(images):
        rows, weights = slice(1), torch.full((len(source),), -torch.inf)
    return Part(
        source.images[rows],
        None if weights is None else weights[rows],
        source.scale,
        first=source.images[:FIRST_IMAGES],
        in_all=len(source),
        most=most,
        sharing=sharing,
    )
