"""Fine-tuned collections: q and r learned against a teacher (paper 4.1, 4.2, 5)."""

import math
import os
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Annotated, ClassVar

from fpmc_bench import FPMC, FinetunedWeights, load_finetuned
from fpmc_bench.contracts import (
    FPMCDenoiser,
    ImageShape,
    ParameterError,
    Place,
    Setting,
    UnknownNameError,
)
from fpmc_plugins.shipped import shipped_file

FOLDER = Path(__file__).parent / "weights"
SUFFIX = ".safetensors"
SAME_SIGMA = 1e-6
"""Relative difference up to which two noise levels are one."""


@dataclass(frozen=True)
class Finetuned(FPMCDenoiser):
    """What `fpmc-bench finetune` made of another denoiser.

    `weights`: the name of a file that is shipped, or of one that `--weights NAME=PATH` says the
    place of. Goes with the dataset, the noise levels and the tuning teacher that it was made for,
    and with no other; the source may be augmented.
    """

    name: ClassVar[str] = "finetuned"
    citation: ClassVar[str] = (
        "Niedoba, Zwartsenberg & Wood, 'Filtered Posterior Mean Collections: A unified framework "
        "for analytical models of diffusion generalization', arXiv 2605.24192, 2026, sections 4 "
        "and 5"
    )
    url: ClassVar[str] = "https://arxiv.org/abs/2605.24192"
    formula: ClassVar[str] = (
        "D = sum_i r_i mu_i / sum_i r_i\n"
        "mu_i = sum_n w_in x_n,  w_i = softmax_n(-sum_d q_id (z_d - x_nd)^2 / 2 sigma^2)\n"
        "log q and log r learned at each sigma: least mean |D(z, sigma) - T(z, sigma)|^2"
    )

    weights: Annotated[str, Place("weights")]

    @cached_property
    def path(self) -> Path:
        """Of the file. Raises UnknownNameError for a name that is neither a file's nor shipped.

        CheckpointError for a shipped file that is not what was shipped.
        """
        if self.weights.endswith(SUFFIX):
            return Path(os.path.expanduser(self.weights))  # noqa: PTH111  # leaves ~nobody as it is
        shipped = {path.stem: path for path in sorted(FOLDER.glob(f"*{SUFFIX}"))}
        if self.weights not in shipped:
            unknown = UnknownNameError("fine-tuned weights", self.weights, shipped)
            unknown.args = (f"{unknown} Weights of your own: say --weights {self.weights}=PATH.",)
            raise unknown
        return shipped_file(shipped[self.weights])

    @cached_property
    def file(self) -> FinetunedWeights:
        return load_finetuned(self.path)

    @property
    def fingerprint(self) -> str:
        return self.file.fingerprint

    def check(self, shape: ImageShape, sigmas: tuple[float, ...]) -> None:
        if not self.path.is_file():
            raise ParameterError(
                f"{self.name}: there is nothing at {self.path} (relative to the folder that the "
                f"command is called in); make it with 'fpmc-bench finetune'"
            )
        card = self.file.card
        if ImageShape(*card.shape) != shape:
            raise ParameterError(
                f"{self.name}: {self.weights} is for images {ImageShape(*card.shape)} of "
                f"'{card.dataset}', not for {shape}"
            )
        alike = len(card.sigmas) == len(sigmas) and all(
            math.isclose(own, given, rel_tol=SAME_SIGMA)
            for own, given in zip(card.sigmas, sigmas, strict=True)
        )
        if not alike:
            raise ParameterError(
                f"{self.name}: {self.weights} was made for {_grid(card.sigmas)}, the suite has "
                f"{_grid(sigmas)}; fine-tune again for these"
            )

    def check_setting(self, setting: Setting) -> None:
        card = self.file.card
        if setting.source.original.fingerprint != card.source:
            raise ParameterError(
                f"{self.name}: {self.weights} was made for the training images of "
                f"'{card.dataset}', and these are others; fine-tune again for them"
            )
        teacher = setting.teacher
        if teacher is not None and teacher.fingerprint != card.teacher_fingerprint:
            raise ParameterError(
                f"{self.name}: {self.weights} was made against teacher '{card.teacher}', not "
                f"against this '{teacher.name}'; fine-tune again, or take that teacher"
            )

    def fpmc(self, setting: Setting, sigma: float) -> FPMC:
        return self.file.model(setting.nearest(sigma))


def _grid(sigmas: tuple[float, ...]) -> str:
    return f"{len(sigmas)} noise levels from {sigmas[0]:g} to {sigmas[-1]:g}"
