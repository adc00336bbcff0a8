"""Which way each model goes, and that nothing but speed hangs on it where two ways fit."""

import pytest
import torch
from torch import Tensor

from fpmc_bench import FPMC, Source
from fpmc_bench.engine.machine.sizes import Limits
from fpmc_bench.engine.prepared import prepare
from fpmc_bench.engine.ways import WAYS, way_of
from fpmc_bench.fpmc import PixelOneHot, Translations, Uniform
from fpmc_bench.fpmc.reference import reference_denoise
from fpmc_bench.fpmc.shapes import ImageShape
from fpmc_plugins.denoisers.ls import squares

SHAPE = ImageShape(3, 5, 4)


class Halved(Uniform):
    def planes(self) -> Tensor:
        return super().planes() / 2


def pixels(side_px: int, translations: Translations | None = None) -> FPMC:
    return FPMC(squares(SHAPE, side_px), PixelOneHot(SHAPE), translations)


@pytest.mark.parametrize(
    ("model", "path"),
    [
        (FPMC(Uniform(SHAPE), Uniform(SHAPE)), "whole-images"),
        (FPMC(Halved(SHAPE), Uniform(SHAPE)), "float32 / sum"),
        (pixels(3), "box-sums / identity"),
        (pixels(3, Translations(3)), "row-products"),
        (pixels(7, Translations(7)), "box-sums / identity"),  # no square of that side can move
    ],
)
def test_each_model_goes_its_way(model: FPMC, path: str) -> None:
    way, prepared = way_of(model), prepare(model, "cpu")
    assert way.path(prepared) == path
    work = way.work(prepared)
    assert work.operations >= 4 * SHAPE.dimensions
    assert work.bytes >= 4 * SHAPE.pixels


def test_all_ways_that_fit_give_the_oracle() -> None:
    draw = torch.Generator().manual_seed(0)
    source = Source(torch.rand(30, *SHAPE, generator=draw) * 2 - 1)
    z = torch.rand(4, *SHAPE, generator=draw)
    for model in (FPMC(Uniform(SHAPE), Uniform(SHAPE)), pixels(3)):
        expected, prepared = reference_denoise(model, source, z, 0.5), prepare(model, "cpu")
        fitting = [way for way in WAYS if way.fits(model)]
        assert fitting[0] is way_of(model)
        assert fitting[-1] is WAYS[-1]
        for way in fitting:
            found = way.denoise(prepared, source, z, 0.5, Limits(2**20))
            assert found.dtype == torch.float32
            torch.testing.assert_close(found.double(), expected, atol=1e-4, rtol=0)
