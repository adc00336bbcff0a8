"""Any images of one size: a zip or a folder of them."""

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from fpmc_bench import decoded_images
from fpmc_bench.contracts import FileDataset, InputError, ParameterError, Split, StoredImages

SEEDS = 2**32


@dataclass(frozen=True)
class _OwnImages(FileDataset):
    test_images: int = 0
    test_seed: int = 0

    def __post_init__(self) -> None:
        if self.test_images < 0:
            raise ParameterError(
                f"{self.name}: test_images must not be negative, got {self.test_images}"
            )
        if not 0 <= self.test_seed < SEEDS:
            raise ParameterError(
                f"{self.name}: test_seed must be from 0 to {SEEDS - 1}, got {self.test_seed}"
            )

    @property
    def splits(self) -> tuple[Split, ...]:
        return ("train", "test") if self.test_images else ("train",)

    def images(self, path: Path, split: Split) -> StoredImages:
        """A part of the mapped file, which is not copied: shuffled when it is decoded."""
        stored = decoded_images(path, shuffle_seed=self.test_seed if self.test_images else None)
        kept = len(stored.codes) - self.test_images
        if kept < 1:
            raise InputError(
                f"{path} holds {len(stored.codes)} images; holding out {self.test_images} leaves "
                f"none to imitate from"
            )
        part = slice(kept) if split == "train" else slice(kept, None)
        labels = None if stored.labels is None else stored.labels[part]
        return StoredImages(stored.codes[part], labels)


@dataclass(frozen=True)
class ImageZip(_OwnImages):
    """Images of one size in a zip; `test_images` of them, chosen by `test_seed`, are held out."""

    name: ClassVar[str] = "image-zip"
    citation: ClassVar[str] = "your own"
    expects: ClassVar[str] = "expected a zip of images of one size"


@dataclass(frozen=True)
class ImageFolder(_OwnImages):
    """Images of one size in a folder; `test_images`, chosen by `test_seed`, are held out."""

    name: ClassVar[str] = "image-folder"
    citation: ClassVar[str] = "your own"
    expects: ClassVar[str] = "expected a folder of images of one size"
