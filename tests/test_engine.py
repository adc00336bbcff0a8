"""The engine against the dense float64 oracle: every filter family, any chunk, batch and order."""

from typing import Any

import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st
from torch import Tensor

from fpmc_bench import FPMC, Source
from fpmc_bench.engine import fpmc_denoise
from fpmc_bench.engine.exact import TOLERANCE
from fpmc_bench.errors import InputError
from fpmc_bench.fpmc import (
    Dense,
    DimensionOneHot,
    PixelMasks,
    PixelOneHot,
    Separable,
    Translations,
    Uniform,
)
from fpmc_bench.fpmc.reference import reference_denoise
from fpmc_bench.fpmc.shapes import ImageShape
from fpmc_plugins.denoisers.ls import squares

SHAPES = (ImageShape(3, 4, 5), ImageShape(1, 5, 4), ImageShape(3, 5, 5))
SIGMAS = (0.002, 0.02, 0.3, 1.0, 5.0, 80.0)
FAMILIES = ("uniform", "ls", "els", "separable", "masks", "binary-masks", "dense", "binary-dense")


def rand(seed: int, *size: int) -> Tensor:
    return torch.rand(*size, generator=torch.Generator().manual_seed(seed))


def model_of(family: str, shape: ImageShape, seed: int) -> FPMC:
    """An FPMC of one filter family with random weights; responses cover every dimension."""
    _, height, width = shape
    if family == "uniform":
        return FPMC(Uniform(shape), Uniform(shape))
    if family == "ls":
        return FPMC(squares(shape, 3), PixelOneHot(shape))
    if family == "els":
        return FPMC(squares(shape, 3), PixelOneHot(shape), Translations(3))
    if family == "separable":
        rows, columns = rand(seed, 3, height), rand(seed + 1, 4, width)
        return FPMC(Separable(shape, rows, columns), Separable(shape, rows + 0.1, columns + 0.1))
    if family.endswith("masks"):
        masks = rand(seed, 7, height, width)
        masks = masks > 0.4 if family == "binary-masks" else masks
        return FPMC(PixelMasks(shape, masks), PixelMasks(shape, rand(seed + 1, *masks.shape) + 0.1))
    matrix = rand(seed, shape.dimensions, shape.dimensions)
    matrix = matrix > 0.4 if family == "binary-dense" else matrix
    return FPMC(Dense(shape, matrix), DimensionOneHot(shape))


def queries(source: Source, sigma: float, seed: int, far: bool) -> Tensor:
    noise = torch.randn(5, *source.shape, generator=torch.Generator().manual_seed(seed))
    if far:
        return 3 + noise
    rows = torch.randint(len(source), (5,), generator=torch.Generator().manual_seed(seed))
    return source.values()[rows] + sigma * noise


any_problem = given(
    family=st.sampled_from(FAMILIES),
    shape=st.sampled_from(SHAPES),
    sigma=st.sampled_from(SIGMAS),
    images=st.integers(1, 17),
    chunk_images=st.none() | st.integers(1, 20),
    batch_queries=st.none() | st.integers(1, 6),
    far=st.booleans(),
    weighted=st.booleans(),
    seed=st.integers(0, 1000),
)


@settings(max_examples=60, deadline=None)
@any_problem
# far from the data energies are large, and rounded otherwise for other numbers of columns
@example(
    family="masks",
    shape=SHAPES[0],
    sigma=0.02,
    images=9,
    chunk_images=None,
    batch_queries=1,
    far=True,
    weighted=False,
    seed=1,
)
@example(
    family="dense",
    shape=SHAPES[1],
    sigma=0.3,
    images=3,
    chunk_images=None,
    batch_queries=1,
    far=True,
    weighted=False,
    seed=123,
)
def test_engine_is_the_oracle(
    family: str,
    shape: ImageShape,
    sigma: float,
    images: int,
    chunk_images: int | None,
    batch_queries: int | None,
    far: bool,
    weighted: bool,
    seed: int,
) -> None:
    log_weights = rand(seed + 2, images) * 4 if weighted else None
    source = Source(rand(seed, images, *shape) * 2 - 1, log_weights)
    model = model_of(family, shape, seed)
    z = queries(source, sigma, seed, far)
    expected = reference_denoise(model, source, z, sigma)
    output = fpmc_denoise(
        model, source, z, sigma, chunk_images=chunk_images, batch_queries=batch_queries
    )
    assert output.dtype == z.dtype
    assert float((output - expected).abs().max()) < 1e-4


@pytest.mark.slow
@settings(max_examples=5000, deadline=None)
@any_problem
def test_engine_is_the_oracle_wherever_one_looks(**problem: Any) -> None:
    test_engine_is_the_oracle.hypothesis.inner_test(**problem)  # type: ignore[attr-defined]


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("sigma", [0.002, 0.02])
@pytest.mark.parametrize("away", [0.0, 1.5])
def test_images_that_noise_can_hardly_tell_apart(family: str, sigma: float, away: float) -> None:
    """Logits are near ties of huge numbers: float32 distances would decide them by rounding."""
    shape = SHAPES[0]
    images = (0.9 + 2 * sigma * (rand(0, 12, *shape) - 1)).clamp(-1, 1)
    source, model = Source(images), model_of(family, shape, 0)
    noise = torch.randn(4, *shape, generator=torch.Generator().manual_seed(1))
    z = images[:4] - away + sigma * noise
    expected = reference_denoise(model, source, z, sigma)
    output = fpmc_denoise(model, source, z, sigma, chunk_images=5)
    assert float((output - expected).abs().max()) < max(TOLERANCE, 1e-3 * sigma)


@settings(max_examples=25, deadline=None)
@given(
    family=st.sampled_from(FAMILIES),
    sigma=st.sampled_from(SIGMAS),
    chunk_images=st.integers(1, 12),
    seed=st.integers(0, 1000),
)
def test_order_and_duplicates_do_not_matter(
    family: str, sigma: float, chunk_images: int, seed: int
) -> None:
    shape = SHAPES[0]
    images = rand(seed, 9, *shape) * 2 - 1
    model = model_of(family, shape, seed)
    z = queries(Source(images), sigma, seed, far=False)
    order = torch.randperm(9, generator=torch.Generator().manual_seed(seed))
    expected = fpmc_denoise(model, Source(images), z, sigma)
    for other in (Source(images[order]), Source(torch.cat([images, images[order]]))):
        output = fpmc_denoise(model, other, z, sigma, chunk_images=chunk_images)
        assert float((output - expected).abs().max()) < 1e-5


@pytest.mark.parametrize("family", FAMILIES)
def test_a_weight_of_two_is_two_images(family: str) -> None:
    shape = SHAPES[0]
    images = rand(0, 6, *shape) * 2 - 1
    model = model_of(family, shape, 0)
    weights = torch.tensor([2.0, 1, 1, 1, 1, 1]).log()
    z = queries(Source(images), 1.0, 0, far=False)
    doubled = fpmc_denoise(model, Source(torch.cat([images, images[:1]])), z, 1.0)
    weighted = fpmc_denoise(model, Source(images, weights), z, 1.0)
    torch.testing.assert_close(weighted, doubled, atol=1e-5, rtol=0)


@pytest.mark.parametrize("family", FAMILIES)
def test_an_image_of_no_weight_is_not_there(family: str) -> None:
    shape = SHAPES[0]
    images = rand(0, 6, *shape) * 2 - 1
    model = model_of(family, shape, 0)
    weights = torch.zeros(6).index_fill(0, torch.tensor([0, 1]), -torch.inf)
    z = queries(Source(images), 0.3, 0, far=False)
    without = fpmc_denoise(model, Source(images[2:]), z, 0.3)
    # one image a chunk: the first chunks hold nothing at all
    weighted = fpmc_denoise(model, Source(images, weights), z, 0.3, chunk_images=1)
    torch.testing.assert_close(weighted, without, atol=1e-5, rtol=0)


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("sigma", [0.002, 1.0, 80.0])
def test_a_source_of_one_image_answers_with_it(family: str, sigma: float) -> None:
    shape = ImageShape(3, 4, 5)
    source = Source(rand(0, 1, *shape) * 2 - 1)
    output = fpmc_denoise(model_of(family, shape, 0), source, 4 * rand(1, 3, *shape), sigma)
    if family == "els":  # interior pixels vote for centres of other patches of that image
        assert bool(((output >= -1) & (output <= 1)).all())
        output, expected = output[:, :, 0, 0], source.values()[:, :, 0, 0].expand(3, -1)
    else:
        expected = source.values().expand(3, *shape)
    torch.testing.assert_close(output, expected, atol=1e-6, rtol=0)


@pytest.mark.parametrize("sigma", [0.0, -1.0, float("nan"), float("inf")])
def test_a_sigma_that_is_none_is_refused(sigma: float) -> None:
    shape = SHAPES[0]
    with pytest.raises(InputError, match="sigma must be a positive, finite number"):
        fpmc_denoise(
            model_of("uniform", shape, 0), Source(rand(0, 2, *shape)), rand(0, 1, *shape), sigma
        )


@pytest.mark.parametrize(
    ("z", "complaint"),
    [
        (torch.full((2, 3, 4, 5), torch.nan), "NaN or infinite values in 2 of 2 images"),
        (torch.zeros(2, 1, 4, 5), "z must be"),
        (torch.zeros(3, 4, 5), "z must be"),
        (torch.zeros(2, 3, 4, 5, dtype=torch.int64), "floating-point"),
    ],
)
def test_queries_that_nothing_can_answer_are_refused(z: Tensor, complaint: str) -> None:
    shape = SHAPES[0]
    with pytest.raises(InputError, match=complaint):
        fpmc_denoise(model_of("ls", shape, 0), Source(rand(0, 2, *shape)), z, 1.0)


def test_a_grey_source_for_a_colour_model_is_refused() -> None:
    with pytest.raises(InputError, match="the source has 1x4x5 images, the model is for 3x4x5"):
        fpmc_denoise(
            model_of("ls", SHAPES[0], 0), Source(rand(0, 2, 1, 4, 5)), rand(0, 1, 3, 4, 5), 1.0
        )


def test_a_pixel_without_any_response_is_refused() -> None:
    shape = SHAPES[0]
    masks = torch.ones(2, 4, 5, dtype=torch.bool)
    masks[:, 0, 0] = False
    model = FPMC(PixelMasks(shape, masks), PixelMasks(shape, masks))
    with pytest.raises(InputError, match="3 of 60 dimensions get no response"):
        fpmc_denoise(model, Source(rand(0, 2, *shape)), rand(0, 1, *shape), 1.0)


def test_no_queries_give_no_answers() -> None:
    shape = SHAPES[0]
    empty = torch.empty(0, *shape)
    output = fpmc_denoise(model_of("ls", shape, 0), Source(rand(0, 2, *shape)), empty, 1.0)
    assert output.shape == empty.shape
