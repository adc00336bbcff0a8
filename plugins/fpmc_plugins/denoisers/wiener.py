"""The Wiener filter: the best linear denoiser of the training set (Wiener 1949)."""

from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor

from fpmc_bench.contracts import DenoiseFunction, FunctionDenoiser, Setting
from fpmc_plugins.denoisers.covariance import spectrum


@dataclass(frozen=True)
class Wiener(FunctionDenoiser):
    """D = m + Sigma (Sigma + sigma^2 I)^-1 (z - m), Sigma with divisor N. Not an FPMC."""

    name: ClassVar[str] = "wiener"
    citation: ClassVar[str] = (
        "Wiener, 'Extrapolation, interpolation, and smoothing of stationary time series', "
        "MIT Press 1949"
    )
    formula: ClassVar[str] = "D = m + Sigma (Sigma + sigma^2 I)^-1 (z - m)"

    def build(self, setting: Setting) -> DenoiseFunction:
        fitted = spectrum(setting.source, ddof=0)
        mean, values, vectors = (tensor.to(setting.device) for tensor in fitted)

        def denoise(z: Tensor, sigma: float) -> Tensor:
            gain = values / (values + sigma**2)
            centred = z.double().flatten(1) - mean
            denoised = mean + (centred @ vectors * gain) @ vectors.T
            return denoised.to(z.dtype).reshape(z.shape)

        return denoise
