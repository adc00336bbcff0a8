"""Flips and synthetic images: only what is added, exactly, the same for equal seeds."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor

from fpmc_bench import heun_sample, load_dataset, load_teacher
from fpmc_bench.contracts import Augmentation, AugmentationTask
from fpmc_bench.diffusion.noise import unit_noise
from fpmc_bench.errors import ParameterError, UsageError
from fpmc_bench.fpmc.source import Source
from fpmc_plugins.augmentations.flips import HorizontalFlip, VerticalFlip
from fpmc_plugins.augmentations.synthetic import Synthetic

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


# --- synthetic


class Blur:
    """A teacher whose samples are easily told: it halves what it sees."""

    name = "blur"

    def __init__(self, fingerprint: str = "blur") -> None:
        self.fingerprint = fingerprint
        self.queries = 0

    def __call__(self, z: Tensor, sigma: float) -> Tensor:
        self.queries += len(z)
        return 0.5 * z / (1 + sigma)


def synthetic_task(
    images: Tensor, rate: float = 1.0, seed: int = 0, teacher: Blur | None = None, scale: float = 0
) -> AugmentationTask:
    source = Source(images, scale=scale or 1 / 127.5)
    return AugmentationTask(source, rate, seed, (2.0, 0.5), teacher or Blur())


def test_synthetic_images_are_samples_of_the_teacher(images: Tensor) -> None:
    task = synthetic_task(images, rate=1.5)
    added = Synthetic().augment(task)
    noise = unit_noise(0, "synthetic", range(15), (2, 3, 4))
    expected = heun_sample(Blur(), noise, task.sigmas).clamp(-1, 1)
    assert (added.dtype, len(added)) == (torch.uint8, 15)
    assert (added.values() - expected).abs().max() <= 0.5 / 127.5 + 1e-6
    assert added.original is added, "made from noise, and not from these images"


def test_synthetic_images_of_few_levels_are_floats(images: Tensor) -> None:
    added = Synthetic().augment(synthetic_task(images % 17, scale=1 / 8))
    assert added.dtype == torch.float32


def test_synthetic_images_are_made_once_and_named_by_their_teacher(images: Tensor) -> None:
    teacher = Blur("teacher of this test")
    first = Synthetic().augment(synthetic_task(images, 2.0, teacher=teacher))
    asked = teacher.queries
    again = Synthetic().augment(synthetic_task(images, 2.0, teacher=teacher))
    fewer = Synthetic().augment(synthetic_task(images, 0.5, teacher=teacher))
    assert teacher.queries == asked > 0
    assert torch.equal(first.images, again.images)
    assert torch.equal(first.images[:5], fewer.images)
    Synthetic().augment(synthetic_task(images, 2.0, seed=1, teacher=teacher))
    assert teacher.queries == 2 * asked
    other = Blur("another")
    Synthetic().augment(synthetic_task(images, 2.0, teacher=other))
    assert other.queries == asked


def test_synthetic_images_do_not_depend_on_how_many_were_asked_for_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of a real network, whose sums end in other last bits in batches of another size."""
    digits, teacher = load_dataset("digits").train, load_teacher("digits-ddpmpp")
    task = AugmentationTask(digits, 0.25, 0, (80.0, 5.0, 0.5), teacher)
    found = []
    for before in ((), (0.0005,), (0.002, 0.2)):
        monkeypatch.setenv("FPMC_BENCH_CACHE", str(tmp_path / str(len(before))))
        for rate in before:
            Synthetic().augment(replace(task, rate=rate))
        found.append(Synthetic().augment(task).images)
    assert len(found[0]) == 324
    assert torch.equal(found[0], found[1])
    assert torch.equal(found[0], found[2])


def test_no_protocol_draws_the_noise_of_synthetic_images() -> None:
    shape = (1, 2, 2)
    own = unit_noise(0, "synthetic", range(50), shape).flatten(1)
    for stream in ("sample-mse", "held-out-samples", "tune-samples", "finetune-validation"):
        other = unit_noise(0, stream, range(50), shape).flatten(1)
        assert torch.cdist(own, other).min() > 1e-3


def test_synthetic_images_need_a_teacher(images: Tensor) -> None:
    with pytest.raises(UsageError, match="needs the tuning teacher"):
        Synthetic().augment(AugmentationTask(Source(images), 1.0, 0))
