"""What a protocol is asked to do, apart from the denoiser: data, noise levels, seed, device."""

from dataclasses import dataclass

import torch
from torch import Tensor

from fpmc_bench.contracts import DenoiseFunction
from fpmc_bench.errors import PluginError
from fpmc_bench.fpmc.shapes import ImageShape
from fpmc_bench.fpmc.source import Source

ANSWERS = (torch.float32, torch.float64)
"""Types of answers; others have lost digits, or are no images."""


@dataclass(frozen=True, eq=False)
class Problem:
    """Clean test images, the descending sigma grid, the seed of all noise, and the device.

    `levels` are the indices of the grid that denoiser-mse is measured at.
    """

    test: Source
    sigmas: tuple[float, ...]
    seed: int
    device: str
    levels: tuple[int, ...]

    @property
    def shape(self) -> ImageShape:
        return self.test.shape


def checked(denoise: DenoiseFunction, name: str) -> DenoiseFunction:
    """The same function z, sigma -> [B,C,H,W] in the dtype of z, with what is wrong refused.

    z and answer are copies: `name` may write into the one, and use the memory of the other again.
    PluginError says that it returned no dense tensor, another type than float32 or float64, another
    shape than that of z, or NaN or infinite values.
    """

    def guarded(z: Tensor, sigma: float) -> Tensor:
        output: object = denoise(z.clone(), sigma)
        if not isinstance(output, Tensor) or output.dtype not in ANSWERS:
            found = output.dtype if isinstance(output, Tensor) else f"a {type(output).__name__}"
            raise PluginError(
                f"'{name}' returned {found} at sigma {sigma:g}; expected a tensor of float32 or "
                f"float64"
            )
        if output.layout != torch.strided or output.is_meta:
            found = "a meta tensor" if output.is_meta else f"a tensor of layout {output.layout}"
            raise PluginError(
                f"'{name}' returned {found} at sigma {sigma:g}; expected a dense one with values"
            )
        if tuple(output.shape) != tuple(z.shape):
            raise PluginError(
                f"'{name}' returned shape {list(output.shape)} at sigma {sigma:g}; expected "
                f"{list(z.shape)}, that of its input"
            )
        if not bool(output.isfinite().all()):
            raise PluginError(f"'{name}' returned NaN or infinite values at sigma {sigma:g}")
        return output.to(z.dtype, copy=True)

    return guarded
