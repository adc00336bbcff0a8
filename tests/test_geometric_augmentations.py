"""Geometric augmentations: which candidates, by how much, and no aliasing."""

import math
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import Tensor

from fpmc_bench import Source, load_dataset
from fpmc_bench.contracts import Augmentation, AugmentationTask
from fpmc_bench.errors import InputError, ParameterError
from fpmc_bench.fpmc.shapes import ImageShape
from fpmc_plugins.augmentations import geometric
from fpmc_plugins.augmentations.candidates import CANDIDATES, chosen_candidates
from fpmc_plugins.augmentations.geometric import Rotate, Scale, Translate
from fpmc_plugins.augmentations.resample import resample

PLUGINS = (Translate(), Rotate(), Scale())
SHAPE = ImageShape(2, 8, 12)


def source(images: int = 30, shape: ImageShape = SHAPE) -> Source:
    generator = torch.Generator().manual_seed(0)
    return Source(torch.randint(256, (images, *shape), dtype=torch.uint8, generator=generator))


def smooth(side_px: int = 16) -> Tensor:
    """Two images that are far below the pixels' band, [2,1,side,side]."""
    x = torch.linspace(-1, 1, side_px)
    one = torch.sin(2 * x)[None, :] * torch.cos(x)[:, None]
    return torch.stack([one, one.T.flip(0) * 0.5])[:, None]


def still(count: int = 1) -> Tensor:
    return torch.eye(2, 3, dtype=torch.float64).repeat(count, 1, 1)


@pytest.fixture
def matrices(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> list[Tensor]:
    """What images were resampled by; into a cache that nobody else reads."""
    monkeypatch.setenv("FPMC_BENCH_CACHE", str(tmp_path))
    seen: list[Tensor] = []

    def spy(images: Tensor, given: Tensor) -> Tensor:
        seen.append(given)
        return images

    monkeypatch.setattr(geometric, "resample", spy)
    return seen


@pytest.mark.parametrize("plugin", PLUGINS, ids=lambda plugin: str(plugin.name))
def test_equal_seeds_give_equal_images(plugin: Augmentation) -> None:
    first, again, other = (
        plugin.augment(AugmentationTask(source(), 2.0, seed)).images for seed in (0, 0, 1)
    )
    assert torch.equal(first, again)
    assert not torch.equal(first, other)
    assert (first.dtype, first.shape) == (torch.uint8, (60, *SHAPE))


@pytest.mark.parametrize(
    ("rate", "counts"),
    [(0.2, {0: 24, 1: 6}), (1.0, {1: 30}), (2.5, {2: 15, 3: 15}), (20, {20: 30})],
)
def test_a_rate_is_shared_out_evenly(rate: float, counts: dict[int, int]) -> None:
    def draw(generator: torch.Generator, shape: tuple[int, int]) -> Tensor:
        return torch.arange(shape[0] * shape[1], dtype=torch.float64).reshape(*shape, 1)

    found = chosen_candidates(30, rate, draw, 0, "test")
    of_each = torch.bincount(found.rows, minlength=30)
    assert {int(n): int((of_each == n).sum()) for n in of_each.unique()} == counts
    assert len(found.parameters.unique()) == len(found.rows), "no candidate is taken twice"
    assert torch.equal((found.parameters[:, 0] // CANDIDATES).long(), found.rows), "of its image"


def test_equal_parameters_of_an_image_are_one_candidate() -> None:
    def draw(generator: torch.Generator, shape: tuple[int, int]) -> Tensor:
        return torch.randint(0, 3, (*shape, 1), generator=generator).double()

    found = chosen_candidates(50, 20, draw, 0, "test")
    pairs = list(zip(found.rows.tolist(), found.parameters[:, 0].tolist(), strict=True))
    assert len(pairs) == len(set(pairs))
    assert 140 <= len(pairs) <= 150, "nearly every image has all three values"


@pytest.mark.parametrize("rate", [0.0, -1.0, 20.5])
def test_rates_that_no_candidates_can_meet(rate: float) -> None:
    with pytest.raises(ParameterError, match="20 candidates, so 0 < rate <= 20"):
        Rotate().augment(AugmentationTask(source(), rate, 0))


def drawn(plugin: Augmentation, matrices: list[Tensor]) -> Tensor:
    plugin.augment(AugmentationTask(source(400), 20, 3))
    return torch.cat(matrices)


def check_normal(values: Tensor, std: float) -> None:
    assert abs(float(values.mean())) < 4 * std / math.sqrt(len(values))
    assert float(values.std()) == pytest.approx(std, rel=0.03)
    assert float(((values / std).abs() < 1).double().mean()) == pytest.approx(0.683, abs=0.02)


def test_translations_are_normal_in_parts_of_either_side(matrices: list[Tensor]) -> None:
    found = drawn(Translate(), matrices)
    check_normal(found[:, 0, 2], SHAPE.width_px / 8)
    check_normal(found[:, 1, 2], SHAPE.height_px / 8)
    assert torch.equal(found[:, :, :2], still(len(found))[:, :, :2])


def test_rotations_are_uniform(matrices: list[Tensor]) -> None:
    found = drawn(Rotate(), matrices)
    angles = torch.atan2(found[:, 0, 1], found[:, 0, 0])
    histogram = torch.histc(angles, bins=8, min=-math.pi, max=math.pi)
    assert bool(((histogram / len(angles) - 1 / 8).abs() < 0.015).all())
    assert torch.allclose(torch.linalg.det(found[:, :, :2]), torch.ones(len(found)).double())


def test_scales_are_log_normal(matrices: list[Tensor]) -> None:
    found = drawn(Scale(), matrices)
    check_normal(-found[:, 0, 0].log2(), 0.2)
    assert torch.equal(found[:, 0, 0], found[:, 1, 1])


def test_whole_pixels_shift_and_reflect() -> None:
    move = still(2)
    move[:, 0, 2] = -3  # what is shown at x was at x - 3
    moved = resample(smooth(), move)
    expected = torch.cat([smooth()[..., 1:4].flip(-1), smooth()[..., :-3]], dim=-1)
    assert torch.allclose(moved, expected, atol=0.02)


def test_a_quarter_turn_is_a_quarter_turn() -> None:
    quarter = torch.tensor([[[0.0, 1, 0], [-1, 0, 0]]], dtype=torch.float64).expand(2, 2, 3)
    assert torch.allclose(resample(smooth(), quarter), smooth().rot90(-1, (2, 3)), atol=0.01)


def test_zooming_in_and_out_comes_back() -> None:
    image = smooth(32)
    larger = resample(image, torch.tensor([0.8, 0.8, 1]).double() * still(2))
    back = resample(larger, torch.tensor([1.25, 1.25, 1]).double() * still(2))
    inner = slice(4, -4)
    assert torch.allclose(back[..., inner, inner], image[..., inner, inner], atol=0.01)


@pytest.mark.parametrize(
    "matrix",
    [
        lambda: still() * torch.tensor([1 / 0.7, 1 / 0.7, 1]),
        lambda: torch.tensor([[[0.8, 0.6, 0], [-0.6, 0.8, 0]]]).double(),
        lambda: still() + torch.tensor([[[0.0, 0, 0.5], [0, 0, 0.5]]]),
    ],
    ids=["scaled", "turned", "moved"],
)
def test_a_checkerboard_does_not_alias(matrix: Callable[[], Tensor]) -> None:
    """Its frequency has no place among the pixels of the result: grey, and no pattern."""
    y, x = torch.meshgrid(torch.arange(32), torch.arange(32), indexing="ij")
    board = ((x + y) % 2 * 2.0 - 1).expand(1, 1, 32, 32)
    assert float(resample(board, matrix()).abs().max()) < 0.05


def test_chunks_change_nothing() -> None:
    images = source(300).values()
    turns = torch.randn(300, 2, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    alone = torch.cat([resample(images[i : i + 1], turns[i : i + 1]) for i in (0, 255, 256, 299)])
    assert torch.allclose(resample(images, turns)[[0, 255, 256, 299]], alone, atol=1e-5)


def test_images_of_few_codes_become_floats() -> None:
    digits = load_dataset("digits").train
    added = Translate().augment(AugmentationTask(digits, 0.1, 0))
    assert added.images.dtype == torch.float32
    assert float(added.images.abs().max()) <= 1


def test_weights_go_with_their_images() -> None:
    weighted = Source(source().images, torch.arange(30.0))
    added = Scale().augment(AugmentationTask(weighted, 0.5, 0))
    assert added.log_weights is not None
    assert len(added.log_weights.unique()) == len(added) == 15


@pytest.mark.parametrize("method", ["check", "augment"])
def test_a_line_of_pixels_is_refused(method: str) -> None:
    with pytest.raises(InputError, match="2 x 2 pixels or more"):
        getattr(Rotate(), method)(AugmentationTask(source(shape=ImageShape(1, 1, 9)), 1.0, 0))
