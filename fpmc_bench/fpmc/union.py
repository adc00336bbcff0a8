"""Union: a source with what augmentations added to it, read where its parts lie."""

import hashlib
from collections.abc import Callable, Iterator, Sequence
from functools import cached_property

import torch
from torch import Tensor

from fpmc_bench.errors import InputError
from fpmc_bench.fpmc.shapes import ImageShape
from fpmc_bench.fpmc.source import Source


class Union(Source):
    """Several sources one after the other, each where it was: nothing is copied.

    `parts` are alike: all codes of one scale, or all floats of one type, on one device. `original`
    is what they were made from; by default the first of them. All else is as `Source` says.

    Raises InputError for parts that are not stored alike.
    """

    parts: tuple[Source, ...]
    _original: Source | None

    def __init__(self, parts: Sequence[Source], original: Source | None = None) -> None:
        if len({(part.shape, part.dtype, part.scale, part.device) for part in parts}) != 1:
            kinds = ", ".join(
                f"{part.shape} {part.dtype} {part.scale:.4g} on {part.device}" for part in parts
            )
            raise InputError(f"parts of a union must be stored alike, got {kinds}")
        # a frozen dataclass, whose own __init__ would want the images in one piece
        fields = {
            "parts": tuple(parts),
            "log_weights": _joint_weights(parts),
            "_original": original,
            "made_from": None,
            "groups": None,
        }
        for name, value in {**fields, "scale": parts[0].scale}.items():
            object.__setattr__(self, name, value)

    @cached_property
    def images(self) -> Tensor:
        """All images in one piece: a copy, for those who can't do with `stored` and `chunks`."""
        return torch.cat([part.images for part in self.parts])

    def __repr__(self) -> str:
        return f"Union({', '.join(f'{len(part)} images' for part in self.parts)})"

    def __len__(self) -> int:
        return sum(map(len, self.parts))

    @property
    def shape(self) -> ImageShape:
        return self.parts[0].shape

    @property
    def dtype(self) -> torch.dtype:
        return self.parts[0].dtype

    @property
    def original(self) -> Source:
        return self._original or self.parts[0].original

    def rows_in(self, original: Source) -> Tensor:
        return torch.cat([part.rows_in(original) for part in self.parts])

    @property
    def device(self) -> torch.device:
        return self.parts[0].device

    @property
    def nbytes(self) -> int:
        return sum(part.nbytes for part in self.parts)

    def stored(self, rows: slice | Tensor) -> Tensor:
        if isinstance(rows, slice):
            found = [part.stored(own) for part, own in self._slices(rows) if own.start < own.stop]
            if not found:
                return self.parts[0].stored(slice(0, 0))
            return found[0] if len(found) == 1 else torch.cat(found)
        found_rows = torch.empty(len(rows), *self.shape, dtype=self.dtype, device=self.device)
        for part, start in zip(self.parts, self._starts, strict=True):
            # as numbers: to index by a mask is to wait for a GPU
            own = ((rows >= start) & (rows < start + len(part))).nonzero()[:, 0]
            found_rows[own] = part.stored(rows[own] - start)
        return found_rows

    def mapped(self, change: Callable[[Tensor], Tensor]) -> Source:
        return Union([part.mapped(change) for part in self.parts], self._original)

    @cached_property
    def fingerprint(self) -> str:
        """sha256 over those of its parts."""
        return hashlib.sha256(
            " ".join(part.fingerprint for part in self.parts).encode()
        ).hexdigest()

    @property
    def _starts(self) -> list[int]:
        """The row that each part begins at."""
        return [sum(map(len, self.parts[:index])) for index in range(len(self.parts))]

    def _slices(self, rows: slice) -> Iterator[tuple[Source, slice]]:
        """Each part with those of `rows` that lie in it, counted from its own beginning."""
        start, stop, _ = rows.indices(len(self))
        for part, first in zip(self.parts, self._starts, strict=True):
            yield part, slice(max(start - first, 0), min(stop - first, len(part)))


def _joint_weights(parts: Sequence[Source]) -> Tensor | None:
    """[N], zeros for parts that are uniform; None where all are."""
    if all(part.log_weights is None for part in parts):
        return None
    found = (torch.zeros(len(p)) if p.log_weights is None else p.log_weights for p in parts)
    return torch.cat(list(found))
