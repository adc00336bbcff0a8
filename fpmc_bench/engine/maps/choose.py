"""From a filter's declared structure to the fastest exact way of multiplying by it."""

import torch
from torch import Tensor

from fpmc_bench.engine.machine.arithmetic import Arithmetic
from fpmc_bench.engine.maps.base import LinearMap
from fpmc_bench.engine.maps.products import Product, SplitProduct
from fpmc_bench.engine.maps.separable import BoxSums, SeparableProduct
from fpmc_bench.engine.maps.subset_sums import SubsetSums
from fpmc_bench.engine.maps.trivial import Identity, Ones
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
from fpmc_bench.fpmc.shapes import ImageShape


def linear_map(filter_: Filter, device: torch.device | str, arithmetic: Arithmetic) -> LinearMap:
    """The products of `filter_`; a family that the engine doesn't know goes by its matrix."""
    shape = filter_.shape
    # by exact type: a subclass may be another matrix
    if type(filter_) is Uniform:
        return Ones(shape.pixels)
    if type(filter_) is PixelOneHot:
        return Identity(shape.pixels)
    if type(filter_) is DimensionOneHot:
        return Identity(shape.dimensions)
    if type(filter_) is Separable:
        binary = is_binary(filter_.rows) and is_binary(filter_.columns)
        return BoxSums(filter_, device) if binary else SeparableProduct(filter_, device)
    if type(filter_) is PixelMasks:
        return matrix_map(filter_.masks.flatten(1).to(device), neighbours(shape, 1), arithmetic)
    if type(filter_) is Dense:
        order = neighbours(shape, shape.channels)
        return matrix_map(filter_.matrix.to(device), order, arithmetic)
    if isinstance(filter_, SharedByChannels):
        return matrix_map(filter_.planes().to(device), neighbours(shape, 1), arithmetic)
    return matrix_map(filter_.dense().to(device), neighbours(shape, shape.channels), arithmetic)


def matrix_map(matrix: Tensor, order: Tensor, arithmetic: Arithmetic) -> LinearMap:
    """The products of `matrix` [M,K]; `order` [K] lists its columns with neighbours side by side.

    For zeros and ones whatever is cheapest here; for any other values a float32 product.
    """
    if not is_binary(matrix):
        return Product(matrix)
    matrix = matrix.bool()
    sums = SubsetSums(matrix, order.to(matrix.device))
    path = arithmetic.cheapest(matrix.numel(), sums.operations)
    if path == SubsetSums.path:
        return sums
    return SplitProduct(matrix) if path == SplitProduct.path else Product(matrix)


def is_binary(values: Tensor) -> bool:
    """Whether all values [...] are 0 or 1, as bfloat16 holds exactly."""
    return values.dtype == torch.bool or bool(((values == 0) | (values == 1)).all())


def neighbours(shape: ImageShape, channels: int) -> Tensor:
    """K = channels * H*W columns in squares of 2 x 2 pixels, one after the other: [K] int64."""
    y, x = torch.meshgrid(
        torch.arange(shape.height_px), torch.arange(shape.width_px), indexing="ij"
    )
    key = ((y // 2) * shape.width_px + x // 2) * 4 + (y % 2) * 2 + x % 2
    order = key.flatten().argsort()
    return (torch.arange(channels)[:, None] * shape.pixels + order).flatten()
