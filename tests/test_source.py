"""Source: one measure however it is stored or cut, named by content, refused if senseless."""

import math
from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from fpmc_bench.errors import InputError
from fpmc_bench.fpmc.shapes import ImageShape
from fpmc_bench.fpmc.source import Source


@pytest.fixture
def levels() -> Tensor:
    generator = torch.Generator().manual_seed(0)
    levels = torch.randint(0, 256, (7, 3, 4, 5), dtype=torch.uint8, generator=generator)
    levels[0, 0, 0, :2] = torch.tensor([0, 255])
    return levels


def test_levels_are_the_floats_they_stand_for(levels: Tensor) -> None:
    floats = Source(levels.double() / 127.5 - 1)
    torch.testing.assert_close(
        Source(levels).values(torch.float64), floats.values(torch.float64), atol=1e-12, rtol=0
    )
    assert Source(levels).values().aminmax() == (-1, 1)


def test_another_scale_is_honoured() -> None:
    source = Source(torch.tensor([0, 8, 16], dtype=torch.uint8).reshape(3, 1, 1, 1), scale=1 / 8)
    assert source.values().flatten().tolist() == [-1, 0, 1]


@pytest.mark.parametrize("scale", [1 / 127.5, 1 / 8])
def test_what_is_stored_is_the_nearest_level(levels: Tensor, scale: float) -> None:
    source = Source(levels.clamp(max=round(2 / scale)), scale=scale)
    noise = torch.rand(source.images.shape, generator=torch.Generator().manual_seed(1)) - 0.5
    assert torch.equal(source.to_stored(source.values() + 0.9 * scale * noise), source.images)
    beyond = torch.tensor([-1.5, 1.5])
    assert source.to_values(source.to_stored(beyond), torch.float32).tolist() == [-1, 1]
    floats = Source(source.values())
    assert torch.equal(floats.to_stored(beyond), beyond)


@pytest.mark.parametrize("size", [1, 2, 3, 7, 100])
@pytest.mark.parametrize("weighted", [False, True])
def test_chunks_join_to_the_whole(levels: Tensor, size: int, weighted: bool) -> None:
    weights = torch.linspace(-2, 1, 7) if weighted else None
    source = Source(levels, weights)
    pieces = list(source.chunks(size, "cpu", torch.float32))
    images = torch.cat([images for images, _ in pieces])
    assert torch.equal(images, source.values())
    assert all(len(images) == len(part) <= size for images, part in pieces)
    expected = torch.zeros(7) if weights is None else weights
    assert torch.equal(torch.cat([part for _, part in pieces]), expected)


def test_length_and_shape(levels: Tensor) -> None:
    source = Source(levels)
    assert (len(source), source.shape) == (7, ImageShape(3, 4, 5))
    assert (source.shape.pixels, source.shape.dimensions, str(source.shape)) == (20, 60, "3x4x5")


def changed(images: Tensor) -> Tensor:
    images = images.clone()
    images[3, 1, 2, 0] ^= 1
    return images


@pytest.mark.parametrize(
    "other",
    [
        lambda images: Source(changed(images)),
        lambda images: Source(images.flip(0)),
        lambda images: Source(images[:6]),
        lambda images: Source(images.reshape(7, 3, 5, 4)),
        lambda images: Source(images, scale=1 / 255),
        lambda images: Source(images, torch.zeros(7)),
        lambda images: Source(images.float() / 127.5 - 1),
    ],
    ids=["one bit", "order", "count", "shape", "scale", "weights", "type"],
)
def test_a_fingerprint_changes_with_the_content(
    levels: Tensor, other: Callable[[Tensor], Source]
) -> None:
    assert Source(levels).fingerprint != other(levels).fingerprint


def test_a_fingerprint_is_of_content_not_of_storage(levels: Tensor) -> None:
    strided = levels.transpose(2, 3).contiguous().transpose(2, 3)
    assert not strided.is_contiguous()
    assert Source(strided).fingerprint == Source(levels.clone()).fingerprint
    floats = levels.float() / 127.5 - 1
    learned = floats.clone().requires_grad_()
    assert Source(floats).fingerprint == Source(learned).fingerprint


def test_fingerprints_of_weights_differ(levels: Tensor) -> None:
    weights = torch.zeros(7), torch.linspace(0, 1, 7)
    first, second = (Source(levels, part).fingerprint for part in weights)
    assert first != second


def test_bfloat16_images_have_a_fingerprint() -> None:
    assert len(Source(torch.zeros(1, 1, 2, 2, dtype=torch.bfloat16)).fingerprint) == 64


@pytest.mark.parametrize(
    ("images", "complaint"),
    [
        (torch.zeros(4, 4), r"\[N,C,H,W\]; got \[4, 4\]"),
        (torch.zeros(0, 1, 4, 4), "at least one image"),
        (torch.zeros(2, 1, 4, 4, dtype=torch.int64), "uint8 or floats, got torch.int64"),
        (torch.full((2, 1, 4, 4), 255.0), r"must lie in \[-1, 1\], got values from 255 to 255"),
        (torch.full((2, 1, 4, 4), -1.1), "x / 127.5 - 1"),
        (torch.full((2, 1, 4, 4), math.nan), r"must lie in \[-1, 1\]"),
    ],
)
def test_senseless_images_are_refused(images: Tensor, complaint: str) -> None:
    with pytest.raises(InputError, match=complaint):
        Source(images)


@pytest.mark.parametrize(
    ("weights", "complaint"),
    [
        (torch.zeros(6), r"shape \[7\], one per image, got \[6\]"),
        (torch.zeros(7, 1), r"shape \[7\]"),
        (torch.full((7,), math.nan), "log_weights must be below"),
        (torch.full((7,), math.inf), "log_weights must be below"),
        (torch.full((7,), -math.inf), "above -inf for some image"),
    ],
)
def test_senseless_weights_are_refused(levels: Tensor, weights: Tensor, complaint: str) -> None:
    with pytest.raises(InputError, match=complaint):
        Source(levels, weights)


@pytest.mark.parametrize(
    ("groups", "complaint"),
    [
        (
            torch.zeros(6, dtype=torch.int64),
            r"shape \[7\], one per image, got torch.int64 of \[6\]",
        ),
        (torch.zeros(7), "must be int64 .* got torch.float32"),
    ],
)
def test_senseless_groups_are_refused(levels: Tensor, groups: Tensor, complaint: str) -> None:
    with pytest.raises(InputError, match=complaint):
        Source(levels, groups=groups)


def test_groups_are_no_part_of_the_fingerprint(levels: Tensor) -> None:
    grouped = Source(levels, groups=torch.arange(7))
    assert grouped.fingerprint == Source(levels).fingerprint


def test_an_image_of_no_weight_is_allowed(levels: Tensor) -> None:
    weights = torch.tensor([0.0] * 6 + [-math.inf])
    assert Source(levels, weights).chunk(6, 7, "cpu", torch.float32)[1].item() == -math.inf
