"""Filters: M x D matrices of non-negative precisions or responses, kept in their structure.

Each family offers two linear maps and the matrix they stand for:

    apply(images [...,C,H,W]) -> [...,M]       Q s: filtered sums, for squared differences s
    adjoint(weights [...,M]) -> [...,C,H,W]    R^T w: each estimator's weight spread over pixels
    dense() -> [M,D] float64                   the matrix itself, for the oracle

Families whose vectors don't depend on the channel do both on planes [...,H,W], summed or repeated
over channels, which is a third of the work for RGB images.

A filter is a value: frozen, equal to nothing but itself, valid from construction on.
"""

from abc import ABC, abstractmethod
from dataclasses import dataclass

import torch
from torch import Tensor

from fpmc_bench.errors import InputError
from fpmc_bench.shapes import ImageShape


def _check_non_negative(name: str, values: Tensor) -> None:
    if values.dtype != torch.bool and not bool((values >= 0).all() and values.isfinite().all()):
        raise InputError(f"{name} must be finite and non-negative")


@dataclass(frozen=True, eq=False)
class Filter(ABC):
    """M vectors over the D dimensions of images of one shape."""

    shape: ImageShape

    @property
    @abstractmethod
    def estimators(self) -> int:
        """M."""

    @property
    def partitions(self) -> bool:
        """Whether each dimension belongs to exactly one estimator: then one pass is enough."""
        return False

    @abstractmethod
    def apply(self, images: Tensor) -> Tensor:
        """[...,C,H,W] -> [...,M]."""

    @abstractmethod
    def adjoint(self, weights: Tensor) -> Tensor:
        """[...,M] -> [...,C,H,W], possibly as a view that repeats values."""

    def dense(self) -> Tensor:
        """[M,D] float64."""
        return self.adjoint(torch.eye(self.estimators, dtype=torch.float64)).flatten(1)

    def accumulate(self, weights: Tensor, images: Tensor) -> Tensor:
        """sum_n x_n * (R^T w_n): weights [B,n,M], images [n,C,H,W] -> [B,C,H,W]."""
        return (self.adjoint(weights) * images).sum(1)


class SharedByChannels(Filter):
    """A filter that treats all channels of a pixel alike."""

    @abstractmethod
    def apply_planes(self, planes: Tensor) -> Tensor:
        """[...,H,W], already summed over channels -> [...,M]."""

    @abstractmethod
    def adjoint_planes(self, weights: Tensor) -> Tensor:
        """[...,M] -> [...,H,W], the same for every channel."""

    def apply(self, images: Tensor) -> Tensor:
        return self.apply_planes(images.sum(-3))

    def adjoint(self, weights: Tensor) -> Tensor:
        planes = self.adjoint_planes(weights).unsqueeze(-3)
        return planes.expand(*weights.shape[:-1], *self.shape)

    def accumulate(self, weights: Tensor, images: Tensor) -> Tensor:
        planes = self.adjoint_planes(weights)
        # a multiply and a sum a channel: einsum would permute its operands, and copy them to do so
        return torch.stack([(planes * channel).sum(1) for channel in images.unbind(1)], dim=1)


@dataclass(frozen=True, eq=False)
class Uniform(SharedByChannels):
    """One estimator that sees every dimension equally: the matrix of ones, M = 1."""

    @property
    def estimators(self) -> int:
        return 1

    @property
    def partitions(self) -> bool:
        return True

    def apply_planes(self, planes: Tensor) -> Tensor:
        return planes.flatten(-2).sum(-1, keepdim=True)

    def adjoint_planes(self, weights: Tensor) -> Tensor:
        return weights[..., None].expand(*weights.shape[:-1], *self.shape[1:])

    def accumulate(self, weights: Tensor, images: Tensor) -> Tensor:
        return (weights[..., 0] @ images.flatten(1)).reshape(-1, *self.shape)


@dataclass(frozen=True, eq=False)
class PixelOneHot(SharedByChannels):
    """Estimator i is pixel i with all its channels; M = H*W."""

    @property
    def estimators(self) -> int:
        return self.shape.pixels

    @property
    def partitions(self) -> bool:
        return True

    def apply_planes(self, planes: Tensor) -> Tensor:
        return planes.flatten(-2)

    def adjoint_planes(self, weights: Tensor) -> Tensor:
        return weights.reshape(*weights.shape[:-1], *self.shape[1:])


@dataclass(frozen=True, eq=False)
class DimensionOneHot(Filter):
    """Estimator i is dimension i alone; M = D."""

    @property
    def estimators(self) -> int:
        return self.shape.dimensions

    @property
    def partitions(self) -> bool:
        return True

    def apply(self, images: Tensor) -> Tensor:
        return images.flatten(-3)

    def adjoint(self, weights: Tensor) -> Tensor:
        return weights.reshape(*weights.shape[:-1], *self.shape)


@dataclass(frozen=True, eq=False)
class Separable(SharedByChannels):
    """Windows rows[i] x columns[j]; M = I*J, estimator index i*J + j.

    `rows` [I,H] and `columns` [J,W] are non-negative. Squares, patches and Gaussians are all of
    this family.
    """

    rows: Tensor
    columns: Tensor

    def __post_init__(self) -> None:
        _, height, width = self.shape
        for name, window, side in (("rows", self.rows, height), ("columns", self.columns, width)):
            if window.ndim != 2 or window.shape[1] != side:
                raise InputError(f"{name} must be [*, {side}], got {list(window.shape)}")
            _check_non_negative(name, window)

    @property
    def estimators(self) -> int:
        return len(self.rows) * len(self.columns)

    def apply_planes(self, planes: Tensor) -> Tensor:
        columns = planes @ self.columns.to(planes).T
        return (self.rows.to(planes) @ columns).flatten(-2)

    def adjoint_planes(self, weights: Tensor) -> Tensor:
        grid = weights.reshape(*weights.shape[:-1], len(self.rows), len(self.columns))
        return self.rows.to(grid).T @ (grid @ self.columns.to(grid))


@dataclass(frozen=True, eq=False)
class PixelMasks(SharedByChannels):
    """Any non-negative (or boolean) vectors over pixels: `masks` [M,H,W]."""

    masks: Tensor

    def __post_init__(self) -> None:
        if self.masks.ndim != 3 or self.masks.shape[1:] != self.shape[1:]:
            raise InputError(
                f"masks must be [M,{self.shape.height_px},{self.shape.width_px}], got "
                f"{list(self.masks.shape)}"
            )
        _check_non_negative("masks", self.masks)

    @property
    def estimators(self) -> int:
        return len(self.masks)

    def apply_planes(self, planes: Tensor) -> Tensor:
        flat = planes.flatten(-2)
        return flat @ self.masks.flatten(1).to(flat).T

    def adjoint_planes(self, weights: Tensor) -> Tensor:
        planes = weights @ self.masks.flatten(1).to(weights)
        return planes.reshape(*weights.shape[:-1], *self.shape[1:])


@dataclass(frozen=True, eq=False)
class Dense(Filter):
    """Any non-negative (or boolean) matrix over dimensions: `matrix` [M,D]."""

    matrix: Tensor

    def __post_init__(self) -> None:
        if self.matrix.ndim != 2 or self.matrix.shape[1] != self.shape.dimensions:
            raise InputError(
                f"matrix must be [M,{self.shape.dimensions}], got {list(self.matrix.shape)}"
            )
        _check_non_negative("matrix", self.matrix)

    @property
    def estimators(self) -> int:
        return len(self.matrix)

    def apply(self, images: Tensor) -> Tensor:
        flat = images.flatten(-3)
        return flat @ self.matrix.to(flat).T

    def adjoint(self, weights: Tensor) -> Tensor:
        flat = weights @ self.matrix.to(weights)
        return flat.reshape(*weights.shape[:-1], *self.shape)
