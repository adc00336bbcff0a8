"""Datasets: images to imitate from and to measure on."""

from abc import abstractmethod
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Literal

from torch import Tensor

from fpmc_bench.contracts.plugin import Plugin
from fpmc_bench.errors import InputError
from fpmc_bench.fpmc.shapes import ImageShape, image_shape
from fpmc_bench.fpmc.source import Source

BYTE_SCALE = 1 / 127.5
"""Of images of 256 codes, which stand for codes * BYTE_SCALE - 1 in [-1, 1]."""
Split = Literal["train", "test"]
"""A part of a dataset: what denoisers imitate from, and what they are measured on."""


@dataclass(frozen=True, eq=False)
class StoredImages:
    """`codes` [N,C,H,W] uint8, usually mapped from a file; `labels` [N], where they are known.

    Codes stand for codes * `scale` - 1 in [-1, 1]. `groups` [N] int64: as a `Source` has them.
    """

    codes: Tensor
    labels: tuple[int, ...] | None = None
    scale: float = BYTE_SCALE
    groups: Tensor | None = None


class Dataset(Plugin):
    """Images to imitate from (`train`) and to measure on (`test`).

    Where several test images are of one picture, patient or clip, `Source.groups` says of which.
    """

    @property
    def splits(self) -> tuple[Split, ...]:
        """What can be loaded. Without "test" a suite measures on samples of its tuning teacher."""
        return ("train", "test")

    @abstractmethod
    def load(self, split: Split) -> Source:
        """The images of one split, the same on every machine."""


class FileDataset(Dataset):
    """A dataset that its user keeps in files, at a place of their choice (`--data`).

    A subclass says how `images` are read; from them follow its sources and what
    `fpmc-bench data info` shows.
    """

    expects: ClassVar[str]
    """What to have there and where to get it, as the end of an error's line."""
    expected_shape: ClassVar[ImageShape | None] = None
    """Of every image; None where any will do."""

    @abstractmethod
    def images(self, path: Path, split: Split) -> StoredImages:
        """The images of one split, as they are stored, with their labels where there are any.

        Raises InputError that names the file, what is wrong with it, and what to do.
        """

    def load(self, split: Split) -> Source:
        """InputError: only `load_from` knows the place."""
        raise InputError(f"'{self.name}' has to be read from a place: load_from(path, split)")

    def load_from(self, path: Path, split: Split) -> Source:
        """The images of one split; InputError where they aren't of the expected shape."""
        stored = self.images(path, split)
        found, expected = image_shape(stored.codes), self.expected_shape
        if expected is not None and found != expected:
            raise InputError(
                f"{path} holds {found.width_px}x{found.height_px} images of {found.channels} "
                f"channel(s), but '{self.name}' has {expected.width_px}x{expected.height_px} of "
                f"{expected.channels}; 'fpmc-bench data prepare' makes small images of large ones"
            )
        return Source(stored.codes, scale=stored.scale, groups=stored.groups)
