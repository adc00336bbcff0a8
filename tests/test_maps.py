"""Every way of multiplying by a filter against its dense float64 matrix."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from fpmc_bench import FPMC, Source
from fpmc_bench.engine import Arithmetic, EngineSettings, fpmc_denoise, using
from fpmc_bench.engine.machine import arithmetic as arithmetic_module
from fpmc_bench.engine.machine.arithmetic import KINDS, PATHS, arithmetic_on, kind_of
from fpmc_bench.engine.maps.bags import Bags
from fpmc_bench.engine.maps.base import LinearMap
from fpmc_bench.engine.maps.choose import linear_map, neighbours
from fpmc_bench.engine.maps.products import Product, SplitProduct, bfloat16_parts, split_product
from fpmc_bench.engine.maps.separable import BoxSums, SeparableProduct
from fpmc_bench.engine.maps.subset_sums import TABLE_ROWS, SubsetSums
from fpmc_bench.engine.maps.trivial import Identity, Ones
from fpmc_bench.errors import UsageError
from fpmc_bench.fpmc import (
    Dense,
    DimensionOneHot,
    Filter,
    PixelMasks,
    PixelOneHot,
    Separable,
    SharedByChannels,
    Uniform,
)
from fpmc_bench.fpmc.reference import reference_denoise
from fpmc_bench.fpmc.shapes import ImageShape
from fpmc_plugins.denoisers.geometry import inner_windows
from fpmc_plugins.denoisers.ls import squares

SHAPES = (ImageShape(3, 4, 5), ImageShape(1, 7, 4), ImageShape(3, 6, 6))
PLAIN = Arithmetic(addition=1, split_multiply_add=1, forced=Product.path)


def forced(path: str) -> Arithmetic:
    return Arithmetic(addition=1, split_multiply_add=1, forced=path)


def rand(seed: int, *size: int) -> Tensor:
    return torch.rand(*size, generator=torch.Generator().manual_seed(seed))


def binary(seed: int, rows: int, columns: int) -> Tensor:
    """Boolean, with an empty and a full row and an empty column among others."""
    matrix = rand(seed, rows, columns) < 0.3
    matrix[0], matrix[-1] = False, True
    matrix[:, 1] = False
    return matrix


def maps(shape: ImageShape) -> list[tuple[Filter, LinearMap]]:
    """Every filter family on every path it can take."""
    _, height, width = shape
    pixels, dimensions = shape.pixels, shape.dimensions
    cases: list[tuple[Filter, str]] = [
        (Uniform(shape), Product.path),
        (PixelOneHot(shape), Product.path),
        (DimensionOneHot(shape), Product.path),
        (squares(shape, 3), Product.path),
        (squares(shape, 2 * max(height, width) - 1), Product.path),
        (Separable(shape, inner_windows(height, 2), inner_windows(width, 3)), Product.path),
        (Separable(shape, rand(0, 3, height), rand(1, 4, width)), Product.path),
        (PixelMasks(shape, rand(2, 7, height, width)), SubsetSums.path),
        (Dense(shape, rand(3, 5, dimensions)), SplitProduct.path),
    ]
    for path in PATHS:
        masks = binary(4, pixels, pixels).reshape(-1, height, width)
        cases.append((PixelMasks(shape, masks), path))
        cases.append((PixelMasks(shape, masks[:5].double()), path))
        cases.append((Dense(shape, binary(5, dimensions, dimensions)), path))
    return [(filter_, linear_map(filter_, "cpu", forced(path))) for filter_, path in cases]


def matrix_of(filter_: Filter) -> Tensor:
    return filter_.planes() if isinstance(filter_, SharedByChannels) else filter_.dense()


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("pairs", [1, 70])
def test_maps_are_their_matrix(shape: ImageShape, pairs: int) -> None:
    for filter_, linear in maps(shape):
        matrix = matrix_of(filter_)
        where = f"{type(filter_).__name__} by {linear.path}"
        assert (linear.estimators, linear.columns) == matrix.shape, where
        values = rand(1, linear.columns, pairs).double()
        weights = rand(2, linear.estimators, pairs)
        for dtype, tolerance in ((torch.float64, 1e-13), (torch.float32, 3e-7)):
            applied = linear.apply(values.to(dtype))
            assert applied.dtype == dtype, where
            error = (applied.double() - matrix @ values.to(dtype).double()).abs().max()
            assert float(error) <= tolerance * linear.columns, where
        error = (linear.adjoint(weights).double() - matrix.T @ weights.double()).abs().max()
        assert float(error) <= 3e-7 * linear.estimators, where


def test_each_structure_takes_its_own_path() -> None:
    shape = SHAPES[0]
    kinds = [type(linear) for _, linear in maps(shape)]
    structured = [Ones, Identity, Identity, BoxSums, BoxSums, BoxSums, SeparableProduct]
    # real numbers are not exact in bfloat16 and not sums: a plain product, whatever is asked for
    assert kinds[:9] == [*structured, Product, Product]
    assert kinds[9:] == 3 * [Product] + 3 * [SubsetSums] + 3 * [SplitProduct]


def test_a_filter_the_engine_does_not_know_goes_by_its_matrix() -> None:
    class Halved(Uniform):
        def planes(self) -> Tensor:
            return super().planes() / 2

    shape = SHAPES[0]
    linear = linear_map(Halved(shape), "cpu", PLAIN)
    values = rand(0, shape.pixels, 3)
    torch.testing.assert_close(linear.apply(values), values.sum(0, keepdim=True) / 2)


@settings(max_examples=40, deadline=None)
@given(
    rows=st.integers(1, 40),
    columns=st.integers(1, 40),
    density=st.sampled_from([0.0, 0.05, 0.5, 1.0]),
    seed=st.integers(0, 1000),
)
def test_subset_sums_of_any_matrix(rows: int, columns: int, density: float, seed: int) -> None:
    matrix = rand(seed, rows, columns) < density
    order = torch.randperm(columns, generator=torch.Generator().manual_seed(seed))
    sums = SubsetSums(matrix, order)
    values, weights = rand(seed + 1, columns, 5), rand(seed + 2, rows, 5)
    torch.testing.assert_close(sums.apply(values), matrix.float() @ values)
    torch.testing.assert_close(sums.adjoint(weights), matrix.float().T @ weights)
    assert sums.operations <= int(matrix.sum())


def test_subset_sums_larger_than_one_table() -> None:
    matrix = rand(0, 600, 2200) < 0.5
    values = rand(1, 2200, 4)
    sums = SubsetSums(matrix, torch.arange(2200))
    assert TABLE_ROWS < 15 * 2200 / 4, "or one table would hold all patterns"
    torch.testing.assert_close(sums.apply(values), matrix.float() @ values, rtol=1e-5, atol=0)


def test_wide_sums_keep_what_float32_cannot() -> None:
    """Energies near 1e7 that differ by little: what low noise far from the data looks like."""
    values = 1e7 + rand(0, 64, 9).double() * 1e3
    bags = Bags.of(torch.ones(1, 64, dtype=torch.bool))
    assert float((bags.sum(values) - values.sum(0)).abs().max()) < 1e-3
    assert float((bags.sum(values.float()).double() - values.sum(0)).abs().max()) > 1


def test_three_bfloat16_parts_are_a_float32_number() -> None:
    draw = torch.Generator().manual_seed(0)
    for scale in (1e-12, 1.0, 1e12):
        values = torch.randn(1000, generator=draw) * scale
        parts = bfloat16_parts(values)
        assert all(bool((part.bfloat16().float() == part).all()) for part in parts)
        assert bool((sum(part.double() for part in parts) == values.double()).all())


def test_the_split_is_as_exact_as_float32() -> None:
    """Near 200, where bfloat16 steps are 1: on units that have it and on those that don't."""
    matrix = (rand(0, 256, 512) < 0.3).float()
    values = rand(1, 512, 96)
    exact = matrix.double() @ values.double()
    split = (split_product(matrix, values).double() - exact).abs().max()
    plain = ((matrix @ values).double() - exact).abs().max()
    rounded = ((matrix.bfloat16() @ values.bfloat16()).double() - exact).abs().max()
    assert float(split) <= max(2 * float(plain), 1e-4) < float(rounded) / 100


def test_precisions_that_are_not_binary_are_never_split() -> None:
    with pytest.raises(TypeError, match="only a boolean matrix is exact in bfloat16"):
        SplitProduct(rand(0, 3, 4))


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("sigma", [0.002, 0.02, 0.3, 3.0, 80.0])
@pytest.mark.parametrize("family", ["masks", "dense", "soft"])
def test_every_arithmetic_is_exact(path: str, sigma: float, family: str) -> None:
    shape = ImageShape(3, 6, 5)
    source = Source((rand(0, 20, *shape) * 255).byte())
    masks = binary(1, shape.pixels, shape.pixels)
    masks.fill_diagonal_(True)
    pixel_masks = PixelMasks(shape, masks.reshape(-1, 6, 5))
    matrix = binary(2, shape.dimensions, shape.dimensions)
    model = {
        "masks": FPMC(pixel_masks, pixel_masks),
        "dense": FPMC(Dense(shape, matrix), DimensionOneHot(shape)),
        "soft": FPMC(PixelMasks(shape, rand(3, 30, 6, 5)), PixelOneHot(shape)),
    }[family]
    noise = torch.randn(4, *shape, generator=torch.Generator().manual_seed(4))
    z = torch.cat([source.values()[:3] + sigma * noise[:3], sigma * noise[3:]])
    expected = reference_denoise(model, source, z, sigma)
    with using(EngineSettings(arithmetic=forced(path))):
        output = fpmc_denoise(model, source, z, sigma)
    assert float((output - expected).abs().max()) < 1e-4


def test_neighbours_are_a_permutation_that_keeps_squares_together() -> None:
    for shape in (*SHAPES, ImageShape(3, 32, 32)):
        order = neighbours(shape, shape.channels)
        assert order.sort().values.tolist() == list(range(shape.dimensions))
    assert neighbours(ImageShape(1, 4, 4), 1)[:8].tolist() == [0, 1, 4, 5, 2, 3, 6, 7]


@pytest.mark.parametrize(
    ("tiles", "capability", "device", "kind"),
    [
        (False, (0, 0), "cpu", "cpu"),
        (True, (0, 0), "cpu", "cpu with bfloat16 tiles"),
        (True, (9, 0), "cuda:0", "cuda of a data centre"),
        (True, (8, 9), "cuda:1", "cuda"),
        (True, (12, 0), "cuda", "cuda"),
    ],
)
def test_costs_follow_from_what_the_processor_is(
    monkeypatch: pytest.MonkeyPatch,
    tiles: bool,
    capability: tuple[int, int],
    device: str,
    kind: str,
) -> None:
    monkeypatch.setattr(torch.cpu, "_is_amx_tile_supported", lambda: tiles)
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device: capability)
    assert kind_of(device) == kind
    assert arithmetic_on(device) == KINDS[kind]


def test_the_cheapest_wins() -> None:
    costs = Arithmetic(addition=2, split_multiply_add=0.5)
    assert costs.cheapest(1000, 100) == SubsetSums.path
    assert costs.cheapest(1000, 400) == SplitProduct.path
    assert Arithmetic(2, 3).cheapest(1000, 600) == Product.path
    assert forced(Product.path).cheapest(1000, 1) == Product.path


def test_an_arithmetic_that_is_none_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(arithmetic_module.VARIABLE, "tf32")
    with pytest.raises(UsageError, match=r"is 'tf32'; expected auto, float32, subset-sums"):
        arithmetic_on("cpu")
    monkeypatch.setenv(arithmetic_module.VARIABLE, SplitProduct.path)
    assert arithmetic_on("cpu").forced == SplitProduct.path
    monkeypatch.setattr(torch.cpu, "_is_amx_tile_supported", lambda: True)
    with_tiles = arithmetic_on("cpu")
    monkeypatch.setattr(torch.cpu, "_is_amx_tile_supported", lambda: False)
    assert arithmetic_on("cpu") == with_tiles, "the processor no longer counts"
