"""FPMC: a filtered posterior mean collection at one noise level, as a value (paper eq. 7-10)."""

from dataclasses import dataclass

from fpmc_bench.errors import InputError
from fpmc_bench.fpmc.filters import Filter, PixelOneHot, Separable
from fpmc_bench.fpmc.held import held_bytes
from fpmc_bench.fpmc.shapes import ImageShape
from fpmc_bench.fpmc.translations import Translations


@dataclass(frozen=True, eq=False)
class FPMC:
    """D(z) = sum_i r_i * mu_{q_i,p_i}(z) / sum_i r_i, elementwise, with M estimators.

    `precision` and `response` are the M x D matrices Q and R. The source measure p_i is the one
    the engine is given, or, with `translations`, each of its images at every translation that
    estimator i may take (then estimators are pixels: Q squares at pixel i, R one-hot).

    Raises InputError where Q and R are for other images or numbers of estimators, and for
    translations of anything but separable precisions with one-hot pixel responses.
    """

    precision: Filter
    response: Filter
    translations: Translations | None = None

    def __post_init__(self) -> None:
        if self.precision.shape != self.response.shape:
            raise InputError(
                f"precision is for images {self.precision.shape}, response for "
                f"{self.response.shape}"
            )
        if self.precision.estimators != self.response.estimators:
            raise InputError(
                f"precision has {self.precision.estimators} estimators, response "
                f"{self.response.estimators}"
            )
        if self.translations is not None and not (
            isinstance(self.response, PixelOneHot) and isinstance(self.precision, Separable)
        ):
            raise InputError("translations need a separable precision and a one-hot pixel response")

    def __repr__(self) -> str:
        kinds = f"{type(self.precision).__name__} / {type(self.response).__name__}"
        moved = ", translated" if self.translations is not None else ""
        return f"FPMC({self.estimators} estimators, {kinds}, {self.shape}{moved})"

    @property
    def shape(self) -> ImageShape:
        """Of the images that it denoises."""
        return self.precision.shape

    @property
    def estimators(self) -> int:
        """M."""
        return self.precision.estimators

    @property
    def nbytes(self) -> int:
        """Of the tensors that both filters hold, each counted once; not of what the engine made."""
        return held_bytes(self.precision, self.response)
