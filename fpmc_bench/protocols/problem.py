"""What a protocol is asked to do, apart from the denoiser: data, noise levels, seed, device."""

from dataclasses import dataclass

from torch import Tensor

from fpmc_bench.contracts import DenoiseFunction
from fpmc_bench.errors import PluginError
from fpmc_bench.fpmc.shapes import ImageShape
from fpmc_bench.fpmc.source import Source


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

    PluginError says that `name` returned another shape than that of z, or NaN or infinite values.
    """

    def guarded(z: Tensor, sigma: float) -> Tensor:
        output = denoise(z, sigma)
        if tuple(output.shape) != tuple(z.shape):
            raise PluginError(
                f"'{name}' returned shape {list(output.shape)} at sigma {sigma:g}; expected "
                f"{list(z.shape)}, that of its input"
            )
        if not bool(output.isfinite().all()):
            raise PluginError(f"'{name}' returned NaN or infinite values at sigma {sigma:g}")
        return output.to(z.dtype)

    return guarded
