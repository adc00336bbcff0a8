"""What float32 keeps where sums are long: at high noise all that tells images apart."""

import pytest
import torch

from fpmc_bench import FPMC, Source
from fpmc_bench.engine import fpmc_denoise
from fpmc_bench.engine.machine.sizes import Limits
from fpmc_bench.engine.prepared import prepare
from fpmc_bench.engine.streaming import stream
from fpmc_bench.fpmc import PixelMasks, Uniform
from fpmc_bench.fpmc.reference import reference_denoise
from fpmc_bench.fpmc.shapes import ImageShape

SHAPE = ImageShape(3, 16, 16)
WHOLE = PixelMasks(SHAPE, torch.ones(1, 16, 16, dtype=torch.bool))
MODEL = FPMC(WHOLE, WHOLE)
LIMITS = Limits(2**28)


def problem(sigma: float) -> tuple[Source, torch.Tensor]:
    """A few images, each of some weight, and queries as noisy as sigma says."""
    draw = torch.Generator().manual_seed(0)
    source = Source(torch.randint(256, (24, *SHAPE), dtype=torch.uint8, generator=draw))
    return source, source.values()[:6] + sigma * torch.randn(6, *SHAPE, generator=draw)


@pytest.mark.parametrize("sigma", [5.0, 20.0, 80.0])
def test_distances_to_what_images_have_in_common_are_not_rounded_into_weights(
    sigma: float,
) -> None:
    """An energy is about 400 for every image, and float32 knows that to 3e-5 and the next 30."""
    source, z = problem(sigma)
    found = stream(prepare(MODEL, "cpu"), source, z, sigma, LIMITS)
    expected = reference_denoise(MODEL, source, z, sigma)
    assert float((found.mean - expected).abs().max()) < 5e-6


@pytest.mark.parametrize(("sigma", "away"), [(1.0, 10.0), (1.5, 10.0), (80.0, 1000.0)])
def test_what_images_have_in_common_counts_where_it_is_rounded_itself(
    sigma: float, away: float
) -> None:
    """Far away it is so much that float32 is wrong by more than is left of any distance."""
    source, z = problem(sigma)
    found = fpmc_denoise(MODEL, source, z + away, sigma)
    expected = reference_denoise(MODEL, source, z + away, sigma)
    assert float((found - expected).abs().max()) < 2e-5


@pytest.mark.parametrize("away", [0.0, 3.0])
def test_products_are_not_rounded_into_the_weights_of_images_that_are_equally_near(
    away: float,
) -> None:
    """Half way between two images; z.x / sigma^2 is then a large number for both of them."""
    source, _ = problem(1.0)
    images = source.values()
    z, model = (images[:6] + images[6:12]) / 2 + away, FPMC(Uniform(SHAPE), Uniform(SHAPE))
    found = fpmc_denoise(model, source, z, 0.05)
    expected = reference_denoise(model, source, z, 0.05)
    assert float((found - expected).abs().max()) < 5e-6
