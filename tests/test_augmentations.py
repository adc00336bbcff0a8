"""Flips: only the added images, mirrored exactly, the same for equal seeds."""

import pytest
import torch
from torch import Tensor

from fpmc_bench.contracts import Augmentation, AugmentationTask
from fpmc_bench.errors import ParameterError
from fpmc_bench.source import Source
from fpmc_plugins.augmentations.flips import HorizontalFlip, VerticalFlip

FLIPS = [(HorizontalFlip(), -1), (VerticalFlip(), -2)]


@pytest.fixture
def images() -> Tensor:
    return torch.arange(10 * 2 * 3 * 4, dtype=torch.uint8).reshape(10, 2, 3, 4)


@pytest.mark.parametrize(("flip", "axis"), FLIPS)
def test_every_image_is_mirrored_once(flip: Augmentation, axis: int, images: Tensor) -> None:
    added = flip.augment(AugmentationTask(Source(images), 1.0, seed=0))
    assert torch.equal(added.images, images.flip(axis))


@pytest.mark.parametrize(("flip", "axis"), FLIPS)
def test_mirroring_twice_changes_nothing(flip: Augmentation, axis: int, images: Tensor) -> None:
    once = flip.augment(AugmentationTask(Source(images), 1.0, seed=0))
    twice = flip.augment(AugmentationTask(once, 1.0, seed=1))
    assert torch.equal(twice.images, images)


@pytest.mark.parametrize(("flip", "axis"), FLIPS)
@pytest.mark.parametrize(("rate", "count"), [(0.2, 2), (0.5, 5), (0.01, 1)])
def test_a_lower_rate_takes_a_subset_without_repeats(
    flip: Augmentation, axis: int, rate: float, count: int, images: Tensor
) -> None:
    added = flip.augment(AugmentationTask(Source(images), rate, seed=3)).images
    originals = {image.numpy().tobytes() for image in images.flip(axis).contiguous()}
    chosen = {image.numpy().tobytes() for image in added.contiguous()}
    assert len(added) == len(chosen) == count
    assert chosen <= originals


def test_equal_seeds_choose_equal_images_and_other_seeds_others(images: Tensor) -> None:
    source = Source(images)
    first, again, other = (
        HorizontalFlip().augment(AugmentationTask(source, 0.5, seed)) for seed in (0, 0, 1)
    )
    assert first.fingerprint == again.fingerprint
    assert first.fingerprint != other.fingerprint


@pytest.mark.parametrize(("flip", "axis"), FLIPS)
def test_scale_and_weights_stay_with_their_images(
    flip: Augmentation, axis: int, images: Tensor
) -> None:
    source = Source(images[:10].clamp(max=16), torch.arange(10.0), scale=1 / 8)
    added = flip.augment(AugmentationTask(source, 0.5, seed=0))
    assert added.scale == source.scale
    assert added.log_weights is not None
    rows = added.log_weights.long()
    assert torch.equal(added.images, source.images[rows].flip(axis))


@pytest.mark.parametrize(("flip", "axis"), FLIPS)
def test_more_than_one_reflection_an_image_is_refused(
    flip: Augmentation, axis: int, images: Tensor
) -> None:
    with pytest.raises(ParameterError, match=f"{flip.name}: there is one reflection per image"):
        flip.augment(AugmentationTask(Source(images), 1.5, seed=0))
