"""The built-in datasets: frozen content, exact codes, and no pixel in both splits."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest
import torch
from sklearn.datasets import load_digits, load_sample_images

from fpmc_bench.contracts import (
    FileDataset,
    ImageShape,
    InputError,
    ParameterError,
    Split,
    StoredImages,
)
from fpmc_plugins.datasets import photos
from fpmc_plugins.datasets.digits import Digits
from fpmc_plugins.datasets.photos import Photos

SPLITS: tuple[Split, ...] = ("train", "test")
DIGITS_FINGERPRINTS = {
    "train": "b5f949c9c9c38af46ea7bd0944ce40c3c8bea68d2794d474566047579c53d9d4",
    "test": "e450bc8e377f881334cb1884cae2810f260ff87995c6c7b997fdef4a0bccff08",
}
"""Published records depend on these very images."""

SIDES_PX = (16, 32, 64)


@pytest.mark.parametrize("split", SPLITS)
def test_digits_are_the_published_ones(split: Split) -> None:
    assert Digits().load(split).fingerprint == DIGITS_FINGERPRINTS[split]


def test_digits_have_17_codes_exactly() -> None:
    train, test = (Digits().load(split) for split in SPLITS)
    assert (len(train), len(test)) == (1297, 500)
    assert train.shape == test.shape == ImageShape(1, 8, 8)
    values = torch.cat([train.values(), test.values()])
    assert sorted(set(values.flatten().tolist())) == [code / 8 - 1 for code in range(17)]


def test_digits_are_split_without_loss() -> None:
    rows = torch.cat([Digits().load(split).images[:, 0] for split in SPLITS])
    known = load_digits().images.astype(np.uint8)
    assert sorted(row.numpy().tobytes() for row in rows) == sorted(row.tobytes() for row in known)


INDEX = np.arange(427 * 640).reshape(427, 640)
"""A picture whose every pixel says where it is."""


def crops(split: Split, side_px: int) -> Iterator[np.ndarray]:
    """Where the crops of one split lie in a picture, by the dataset's own functions."""
    stride = photos.TRAIN_STRIDE_PX if split == "train" else side_px
    for region in photos._regions(INDEX, split):
        yield from photos._crops(region, side_px, stride)


@pytest.mark.parametrize("side_px", SIDES_PX)
def test_no_training_crop_shares_a_pixel_with_a_test_crop(side_px: int) -> None:
    train, test = (np.stack(list(crops(split, side_px))) for split in SPLITS)
    assert len(np.intersect1d(train, test)) == 0
    assert len(np.unique(test)) == test.size  # test crops don't overlap one another either


@pytest.mark.parametrize("side_px", SIDES_PX)
@pytest.mark.parametrize("split", SPLITS)
def test_photos_are_such_crops_of_the_pictures(split: Split, side_px: int) -> None:
    pictures = [picture.reshape(-1, 3) for picture in load_sample_images().images]
    source = Photos(side_px).load(split)
    possible = {picture[crop].tobytes() for picture in pictures for crop in crops(split, side_px)}
    images = source.images.permute(0, 2, 3, 1).contiguous().numpy()
    assert {image.tobytes() for image in images} <= possible
    assert source.shape == ImageShape(3, side_px, side_px)
    assert source.images.dtype == torch.uint8


@pytest.mark.parametrize(("side_px", "test_images"), [(16, 500), (32, 120), (64, 20)])
def test_photos_count(side_px: int, test_images: int) -> None:
    assert len(Photos(side_px).load("train")) == 2000
    assert len(Photos(side_px).load("test")) == test_images


def test_photos_splits_see_all_heights_of_a_picture() -> None:
    for split in SPLITS:
        rows = sorted({int(region[0, 0]) // 640 for region in photos._regions(INDEX, split)})
        assert rows[0] == 0
        assert all(below - above == photos.REGION_HEIGHT_PX for above, below in pairwise(rows))
        assert len(rows) == photos.REGION_ROWS


def test_photos_are_the_same_at_every_load() -> None:
    first, second = (Photos(16).load("test").fingerprint for _ in range(2))
    assert first == second


def test_photos_say_which_picture_each_crop_is_of() -> None:
    pictures = [picture.reshape(-1, 3) for picture in load_sample_images().images]
    source = Photos(16).load("test")
    images = source.images.permute(0, 2, 3, 1).contiguous().numpy()
    assert source.groups is not None
    for number, picture in enumerate(pictures):
        own = {picture[crop].tobytes() for crop in crops("test", 16)}
        mine = images[(source.groups == number).numpy()]
        assert len(mine) > 200
        assert {image.tobytes() for image in mine} <= own
    assert source.mapped(lambda images: images).groups is source.groups


def test_other_sides_are_refused_by_name() -> None:
    with pytest.raises(ParameterError, match="side_px must be 16, 32 or 64, got 24"):
        Photos(24)


@dataclass(frozen=True)
class Saved(FileDataset):
    """A .npy file of 17 codes, as the digits have them."""

    name: ClassVar[str] = "saved"
    citation: ClassVar[str] = "none"
    expects: ClassVar[str] = "expected a .npy file"

    def images(self, path: Path, split: Split) -> StoredImages:
        return StoredImages(torch.from_numpy(np.load(path)), scale=1 / 8)


class SavedDigits(Saved):
    expected_shape: ClassVar[ImageShape | None] = ImageShape(1, 8, 8)


def saved(folder: Path, *shape: int) -> Path:
    path = folder / "codes.npy"
    np.save(path, np.full(shape, 4, dtype=np.uint8))
    return path


def test_a_dataset_in_files_says_only_how_its_images_are_read(tmp_path: Path) -> None:
    source = Saved().load_from(saved(tmp_path, 3, 2, 5, 4), "train")
    assert torch.equal(source.values(), torch.full((3, 2, 5, 4), -0.5))
    assert Saved().splits == ("train", "test")


def test_images_of_another_shape_than_expected_are_refused(tmp_path: Path) -> None:
    assert len(SavedDigits().load_from(saved(tmp_path, 3, 1, 8, 8), "train")) == 3
    complaint = r"codes.npy holds 8x9 images of 1 channel\(s\), but 'saved' has 8x8 of 1"
    with pytest.raises(InputError, match=complaint):
        SavedDigits().load_from(saved(tmp_path, 3, 1, 9, 8), "train")


def test_a_dataset_in_files_needs_a_place() -> None:
    with pytest.raises(InputError, match="'saved' has to be read from a place"):
        Saved().load("train")
