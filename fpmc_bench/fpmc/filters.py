"""Filters: M x D matrices of non-negative precisions or responses, kept in their structure.

A filter says which matrix it is, and nothing of how to multiply by it: `fpmc_bench.engine` picks
a fast product for each family. What a family must offer is

    dense() -> [M,D] float64       the matrix itself, for the oracle and as a last resort
    planes() -> [M,H*W] float64    the same for one channel, where all channels are alike

Filters that don't depend on the channel work on planes [H*W], summed or repeated over channels,
which is a third of the work for RGB images.

A filter is a value: frozen, equal to nothing but itself, valid from construction on: InputError for
tensors of another shape, and for values that are negative, infinite or NaN.
"""

from abc import ABC, abstractmethod
from dataclasses import dataclass

import torch
from torch import Tensor

from fpmc_bench.errors import InputError
from fpmc_bench.fpmc.held import held_bytes
from fpmc_bench.fpmc.shapes import ImageShape


def _check_non_negative(name: str, values: Tensor) -> None:
    if values.dtype != torch.bool and not bool((values >= 0).all() and values.isfinite().all()):
        raise InputError(f"{name} must be finite and non-negative")


@dataclass(frozen=True, eq=False, repr=False)
class Filter(ABC):
    """M vectors over the D dimensions of images of one shape."""

    shape: ImageShape

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.estimators} estimators, {self.shape})"

    @property
    @abstractmethod
    def estimators(self) -> int:
        """M."""

    @property
    def partitions(self) -> bool:
        """Whether each dimension belongs to exactly one estimator: then one pass is enough."""
        return False

    @property
    def nbytes(self) -> int:
        """Of the tensors that the filter holds, not of its matrix."""
        return held_bytes(self)

    @abstractmethod
    def dense(self) -> Tensor:
        """[M,D] float64."""


class SharedByChannels(Filter):
    """A filter that treats all channels of a pixel alike."""

    @abstractmethod
    def planes(self) -> Tensor:
        """[M,H*W] float64."""

    def dense(self) -> Tensor:
        return self.planes().repeat(1, self.shape.channels)


@dataclass(frozen=True, eq=False, repr=False)
class Uniform(SharedByChannels):
    """One estimator that sees every dimension equally: the matrix of ones, M = 1."""

    @property
    def estimators(self) -> int:
        return 1

    @property
    def partitions(self) -> bool:
        return True

    def planes(self) -> Tensor:
        return torch.ones(1, self.shape.pixels, dtype=torch.float64)


@dataclass(frozen=True, eq=False, repr=False)
class PixelOneHot(SharedByChannels):
    """Estimator i is pixel i with all its channels; M = H*W."""

    @property
    def estimators(self) -> int:
        return self.shape.pixels

    @property
    def partitions(self) -> bool:
        return True

    def planes(self) -> Tensor:
        return torch.eye(self.shape.pixels, dtype=torch.float64)


@dataclass(frozen=True, eq=False, repr=False)
class DimensionOneHot(Filter):
    """Estimator i is dimension i alone; M = D."""

    @property
    def estimators(self) -> int:
        return self.shape.dimensions

    @property
    def partitions(self) -> bool:
        return True

    def dense(self) -> Tensor:
        return torch.eye(self.shape.dimensions, dtype=torch.float64)


@dataclass(frozen=True, eq=False, repr=False)
class Separable(SharedByChannels):
    """Windows rows[i] x columns[j]; M = I*J, estimator index i*J + j.

    `rows` [I,H] and `columns` [J,W] are non-negative. Squares, patches and Gaussians are all of
    this family. InputError for windows of another length, or that are negative or not finite.
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

    def planes(self) -> Tensor:
        return torch.kron(self.rows.double(), self.columns.double())


@dataclass(frozen=True, eq=False, repr=False)
class PixelMasks(SharedByChannels):
    """Any non-negative (or boolean) vectors over pixels: `masks` [M,H,W].

    InputError for masks of another shape, or that are negative or not finite.
    """

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

    def planes(self) -> Tensor:
        return self.masks.flatten(1).double()


@dataclass(frozen=True, eq=False, repr=False)
class Dense(Filter):
    """Any non-negative (or boolean) matrix over dimensions: `matrix` [M,D].

    InputError for a matrix of another shape, or with values that are negative or not finite.
    """

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

    def dense(self) -> Tensor:
        return self.matrix.double()
