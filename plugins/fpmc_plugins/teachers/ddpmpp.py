"""DDPM++ (Song et al. 2021, arXiv:2011.13456) with EDM's preconditioning (Karras et al. 2022).

Positional noise embedding, plain encoder, box resampling filter. The tuning teachers.
"""

from dataclasses import dataclass
from typing import ClassVar

from fpmc_plugins.teachers.packaged import PackagedTeacher

CITATION = "Song et al. 2021 (DDPM++), preconditioned as in Karras et al. 2022 (EDM)"


@dataclass(frozen=True)
class DigitsDDPMpp(PackagedTeacher):
    """A DDPM++ of 1.0 M parameters, trained on the 1297 training digits."""

    name: ClassVar[str] = "digits-ddpmpp"
    citation: ClassVar[str] = CITATION
    dataset: ClassVar[str] = "digits"


@dataclass(frozen=True)
class PhotosDDPMpp(PackagedTeacher):
    """A DDPM++ of 0.7 M parameters, trained on the 2000 training crops of 16x16 pixels."""

    name: ClassVar[str] = "photos-ddpmpp"
    citation: ClassVar[str] = CITATION
    dataset: ClassVar[str] = "photos"
