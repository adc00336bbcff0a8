"""A collection relaxed to q = exp(log q), r = exp(log r): free vectors, or kernels that all share.

Paper sections 4.1 and 4.2. Values of the base above the starting zeros stay exactly what they were;
smaller ones, as on the far sides of windows, start there too.
"""

from collections.abc import Collection, Mapping
from typing import Literal

import torch
from torch import Tensor, nn

from fpmc_bench.errors import ParameterError
from fpmc_bench.finetune.settings import AXES, LARGEST_ZERO, Axis, FinetuneSettings
from fpmc_bench.fpmc import FPMC, Dense, Filter, PixelMasks, SharedByChannels
from fpmc_bench.fpmc.shapes import ImageShape

Kernels = Literal["free", "shared"]


class Relaxed(nn.Module):
    """One matrix Q or R [M,K]: the base's own where it is `learned` not, else exp(log_values).

    K is H*W where channels share their values, else D. `log_values` are [M,K], or one kernel
    [2H-1,2W-1] that holds q(u - i) for every offset; ParameterError where a kernel is asked for
    and the matrix is not [H*W,H*W].
    """

    _fixed: Tensor | None
    _index: Tensor | None

    def __init__(
        self, filter_: Filter, *, learned: bool, kernels: Kernels, tie_channels: bool, zero: float
    ) -> None:
        super().__init__()
        self.log_values: nn.Parameter | None = None
        values = plain_values(filter_, tie_channels and learned)
        self.register_buffer("_fixed", None if learned else values.float())
        self.register_buffer("_index", None)
        if not learned:
            return
        start = values.clamp(min=zero).log()
        if kernels == "shared":
            shape = filter_.shape
            if tuple(start.shape) != (shape.pixels, shape.pixels):
                raise ParameterError(
                    f"shared kernels need one estimator a pixel and channels that are treated "
                    f"alike, {shape.pixels} x {shape.pixels}; here are "
                    f"{' x '.join(map(str, start.shape))}; take --kernels free"
                )
            index = kernel_index(shape)
            self.register_buffer("_index", index)
            start = _mean_by_index(start, index).reshape(kernel_shape(shape))
        self.log_values = nn.Parameter(start.float())

    def forward(self) -> Tensor:
        """[M,K] float32."""
        if self.log_values is None:
            assert self._fixed is not None, "one of both is there"
            return self._fixed
        if self._index is None:
            return self.log_values.exp()
        return self.log_values.flatten()[self._index].exp()


class Relaxation(nn.Module):
    """Both matrices of one noise level, as what an optimiser can move."""

    def __init__(
        self,
        base: FPMC,
        axes: Collection[Axis],
        *,
        kernels: Kernels = "free",
        tie_channels: bool = False,
        zeros: Mapping[Axis, float],
    ) -> None:
        """`zeros`: what stands for the base's zeros on an axis, as `starting_zeros` finds.

        Raises ParameterError for a base that has no such relaxation.
        """
        super().__init__()
        if base.translations is not None:
            raise ParameterError(
                "a collection that searches translations (els) has a source for every pixel and "
                "can't be fine-tuned; take ls, which has the same patches"
            )
        if kernels == "shared" and set(axes) == set(AXES):
            base = _by_pixels(base)

        def relaxed(filter_: Filter, axis: Axis) -> Relaxed:
            return Relaxed(
                filter_,
                learned=axis in axes,
                kernels=kernels,
                tie_channels=tie_channels,
                zero=zeros[axis],
            )

        self.precision = relaxed(base.precision, "q")
        self.response = relaxed(base.response, "r")

    def rounded(self) -> dict[str, Tensor]:
        """log q and log r by axis, as far as they are learned, rounded as they are stored: float16.

        [M,K] or one kernel [2H-1,2W-1] each, as `Relaxed` holds them.
        """
        pairs = (("q", self.precision), ("r", self.response))
        return {
            axis: part.log_values.detach().half().cpu().clone()
            for axis, part in pairs
            if part.log_values is not None
        }


def _by_pixels(base: FPMC) -> FPMC:
    """One estimator for the whole image as one a pixel, all alike: the same denoiser."""
    parts = (base.precision, base.response)
    if base.estimators > 1 or not all(bool((plain_values(one) == 1).all()) for one in parts):
        return base
    shape = base.shape
    ones = PixelMasks(shape, torch.ones(shape.pixels, *shape[1:], dtype=torch.bool))
    return FPMC(ones, ones)


def relaxation_of(base: FPMC, settings: FinetuneSettings, sigma: float) -> Relaxation:
    """As the settings ask for it, with its zeros where they start them."""
    return Relaxation(
        base,
        settings.axes,
        kernels=settings.kernels,
        tie_channels=settings.tie_channels,
        zeros=starting_zeros(base, settings, sigma),
    )


def starting_zeros(base: FPMC, settings: FinetuneSettings, sigma: float) -> dict[Axis, float]:
    """What learned values start from where the base has zeros, as `FinetuneSettings` say."""
    precision = min(settings.zero_precision * sigma**2 / base.shape.dimensions, LARGEST_ZERO)
    response = plain_values(base.response)
    ones = float(response.sum())  # of a mask; of a Gaussian, as many as it is wide
    zeros = max(response.numel() - ones, 1)
    return {"q": precision, "r": min(settings.zero_response * ones / zeros, LARGEST_ZERO)}


def relaxed_model(base: FPMC, log_values: Mapping[str, Tensor]) -> FPMC:
    """The base with `log_values` [M,K] or [2H-1,2W-1] in place, as `Relaxation.rounded` gives them.

    What has none stays the base's. InputError for another shape.
    """
    filters = {"q": base.precision, "r": base.response}
    filters |= {axis: learned_filter(values, base.shape) for axis, values in log_values.items()}
    return FPMC(filters["q"], filters["r"])


def learned_filter(log_values: Tensor, shape: ImageShape) -> Filter:
    """exp of log values: [M,K], or a shared kernel [2H-1,2W-1]. K = H*W is shared by channels."""
    values = log_values.float()
    if tuple(values.shape) == kernel_shape(shape):
        values = values.flatten()[kernel_index(shape)]
    matrix = values.exp()
    if matrix.shape[1] == shape.pixels:
        return PixelMasks(shape, matrix.reshape(-1, shape.height_px, shape.width_px))
    return Dense(shape, matrix)


def plain_values(filter_: Filter, tie_channels: bool = False) -> Tensor:
    """[M,K] float64; of a filter that tells channels apart K is D, or H*W where they are tied."""
    if isinstance(filter_, SharedByChannels):
        return filter_.planes()
    dense = filter_.dense()
    if tie_channels:
        return dense.reshape(len(dense), filter_.shape.channels, -1).mean(1)
    return dense


def kernel_shape(shape: ImageShape) -> tuple[int, int]:
    """Of a kernel that holds a value for every offset between two pixels."""
    return 2 * shape.height_px - 1, 2 * shape.width_px - 1


def kernel_index(shape: ImageShape) -> Tensor:
    """[H*W,H*W]: which entry of a flat kernel pixel u of estimator i takes, that of u - i."""
    y, x = torch.meshgrid(
        torch.arange(shape.height_px), torch.arange(shape.width_px), indexing="ij"
    )
    y, x = y.flatten(), x.flatten()
    down = y - y[:, None] + shape.height_px - 1
    right = x - x[:, None] + shape.width_px - 1
    return down * kernel_shape(shape)[1] + right


def _mean_by_index(values: Tensor, index: Tensor) -> Tensor:
    """The mean of all values that share an index; 1-D."""
    size = int(index.max()) + 1
    total = values.new_zeros(size).index_add_(0, index.flatten(), values.flatten())
    count = torch.bincount(index.flatten(), minlength=size)
    return total / count.clamp(min=1)
