"""Source: a discrete probability measure over images, the p of a filtered posterior mean."""

import hashlib
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import cached_property

import torch
from torch import Tensor

from fpmc_bench.errors import InputError
from fpmc_bench.fpmc.shapes import ImageShape, image_shape

NORM_IMAGES = 64
"""Images taken at a time for their norms: few enough for the cache."""


@dataclass(frozen=True, eq=False)
class Source:
    """Images with their log weights; stored as loaded, turned to floats a chunk at a time.

    Shared by all who compute on it: none may change its tensors. `values` and `chunks` are copies.

    `images` [N,C,H,W]: floats in [-1,1], or uint8 codes, which stand for codes * `scale` - 1
    (1/127.5 for 8-bit images). `log_weights` [N] are unnormalised, and kept on the CPU wherever the
    images lie; None is the uniform measure.
    `made_from` [N] of images that an augmentation made of others: the rows of those; None: of none.
    `groups` [N] int64: which picture, patient or clip an image is of, by any numbers, where images
    of one are not independent of each other: errors on them are clustered by it. None where each is
    on its own. The fingerprint is of images and weights alone.

    Raises InputError for no images, another dtype, floats beyond [-1,1] or NaN, log weights of
    which none is above -inf or one is +inf or NaN, vectors of another length than N, and groups
    that are not int64.
    """

    images: Tensor
    log_weights: Tensor | None = None
    scale: float = 1 / 127.5
    made_from: Tensor | None = None
    groups: Tensor | None = None

    def __post_init__(self) -> None:
        if self.images.ndim != 4 or not self.images.numel():
            raise InputError(
                f"a source needs at least one image, [N,C,H,W]; got {list(self.images.shape)}"
            )
        if self.images.dtype != torch.uint8:
            if not self.images.is_floating_point():
                raise InputError(f"images must be uint8 or floats, got {self.images.dtype}")
            low, high = self.images.aminmax()
            if not (low >= -1 - 1e-4 and high <= 1 + 1e-4):  # also catches NaN
                raise InputError(
                    f"float images must lie in [-1, 1], got values from {float(low):.4g} to "
                    f"{float(high):.4g}; for 8-bit images pass uint8 or x / 127.5 - 1"
                )
        if self.log_weights is not None:
            object.__setattr__(self, "log_weights", self.log_weights.cpu())
        if self.log_weights is not None and self.log_weights.shape != (len(self),):
            raise InputError(
                f"log_weights must have shape [{len(self)}], one per image, got "
                f"{list(self.log_weights.shape)}"
            )
        if self.log_weights is not None and not (  # also catches NaN
            bool((self.log_weights < math.inf).all() and (self.log_weights > -math.inf).any())
        ):
            raise InputError("log_weights must be below +inf, and above -inf for some image")
        if self.made_from is not None and self.made_from.shape != (len(self),):
            raise InputError(
                f"made_from must have shape [{len(self)}], a row per image, got "
                f"{list(self.made_from.shape)}"
            )
        groups = self.groups
        if groups is not None and (groups.shape != (len(self),) or groups.dtype != torch.int64):
            raise InputError(
                f"groups must be int64 of shape [{len(self)}], one per image, got {groups.dtype} "
                f"of {list(groups.shape)}"
            )

    def __len__(self) -> int:
        return len(self.images)

    def __repr__(self) -> str:
        weighted = "" if self.log_weights is None else ", weighted"
        return f"Source({len(self)} images {self.shape}, {self.images.dtype}{weighted})"

    @property
    def shape(self) -> ImageShape:
        """Of one image."""
        return image_shape(self.images)

    @property
    def dtype(self) -> torch.dtype:
        """Of the images as they are stored."""
        return self.images.dtype

    @property
    def is_coded(self) -> bool:
        """Whether images are stored as codes, which stand for codes * scale - 1."""
        return self.dtype == torch.uint8

    @property
    def original(self) -> "Source":
        """What an augmented source was augmented from; any other is its own original."""
        return self

    def rows_in(self, original: "Source") -> Tensor:
        """[N] int64: the row of `original` that each image is or was made from; -1 where none."""
        if self is original:
            return torch.arange(len(self))
        return torch.full((len(self),), -1) if self.made_from is None else self.made_from

    @property
    def device(self) -> torch.device:
        """Where the images are stored."""
        return self.images.device

    @property
    def nbytes(self) -> int:
        """Of the images as they are stored."""
        return self.images.nbytes

    def stored(self, rows: slice | Tensor) -> Tensor:
        """Images [n,C,H,W] as they are stored, of a slice or of an index [n] on the CPU.

        Of a slice they are the source's own, not to be changed.
        """
        return self.images[rows]

    def mapped(self, change: Callable[[Tensor], Tensor]) -> "Source":
        """The same measure over changed images: moved to a device, say, or transposed.

        `change` takes and returns stored images [N,C,H,W].
        """
        return replace(self, images=change(self.images))

    @property
    def squared_norms(self) -> Tensor:
        """|x|^2 of every image x in [-1,1], [N] float64 on the CPU: a copy, computed once."""
        return self._squared_norms.clone()

    @cached_property
    def _squared_norms(self) -> Tensor:
        norms = torch.empty(len(self), dtype=torch.float64, device=self.device)
        # written in place: results kept one by one between large arrays would fragment memory
        for start in range(0, len(self), NORM_IMAGES):
            rows = slice(start, start + NORM_IMAGES)
            values = self.to_values(self.stored(rows).flatten(1), torch.float64)
            torch.linalg.vecdot(values, values, out=norms[rows])
        return norms.cpu()

    def chunk(
        self, start: int, stop: int, device: torch.device | str, dtype: torch.dtype
    ) -> tuple[Tensor, Tensor]:
        """Images [n,C,H,W] in [-1,1] and log weights [n] (0 without any) of rows start..stop.

        Copies: whoever gets them may change them.
        """
        stored = self.stored(slice(start, stop))
        if self.is_coded:
            images = self.to_values(stored.to(device), dtype)
        else:
            images = stored.to(device, dtype, copy=True)
        if self.log_weights is None:
            return images, torch.zeros(stop - start, device=device, dtype=dtype)
        return images, self.log_weights[start:stop].to(device, dtype, copy=True)

    def to_values(self, stored: Tensor, dtype: torch.dtype) -> Tensor:
        """Values in [-1,1] of any part of the images as they are `stored`, in its shape."""
        if self.is_coded:
            return stored.to(dtype).mul_(self.scale).sub_(1)
        return stored.to(dtype)

    def to_stored(self, values: Tensor) -> Tensor:
        """What comes nearest to `values` of all that images like these could be stored as.

        In the shape of `values`; codes are those of values clamped to [-1,1].
        """
        if self.is_coded:
            return values.clamp(-1, 1).add_(1).div_(self.scale).round_().to(torch.uint8)
        return values.to(self.dtype)

    def chunks(
        self, size: int, device: torch.device | str, dtype: torch.dtype
    ) -> Iterator[tuple[Tensor, Tensor]]:
        """The whole source in order, `size` images at a time: each as `chunk` gives it."""
        for start in range(0, len(self), size):
            yield self.chunk(start, min(start + size, len(self)), device, dtype)

    def values(self, dtype: torch.dtype = torch.float32) -> Tensor:
        """All images [N,C,H,W] in [-1,1], on the CPU: a copy, which may be changed."""
        return self.chunk(0, len(self), "cpu", dtype)[0]

    @cached_property
    def fingerprint(self) -> str:
        """sha256 over shape, type and content: equal exactly where sources are."""
        digest = hashlib.sha256()
        scale = self.scale if self.images.dtype == torch.uint8 else math.nan
        digest.update(f"{list(self.images.shape)} {self.images.dtype} {scale!r}".encode())
        digest.update(_bytes(self.images))
        if self.log_weights is not None:
            digest.update(_bytes(self.log_weights))
        return digest.hexdigest()


def _bytes(values: Tensor) -> memoryview:
    """Content in order, not copied; as bytes because numpy has no bfloat16."""
    return values.detach().cpu().contiguous().flatten().view(torch.uint8).numpy().data
