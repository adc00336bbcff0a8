"""NCSN++ (Song et al. 2021, arXiv:2011.13456) with EDM's preconditioning (Karras et al. 2022).

Fourier noise embedding, residual encoder, [1,3,3,1] resampling filter. The evaluation teachers:
another architecture, from another seed, than the networks that tune anything.
"""

from dataclasses import dataclass
from typing import ClassVar

from fpmc_plugins.teachers.packaged import PackagedTeacher

CITATION = "Song et al. 2021 (NCSN++), preconditioned as in Karras et al. 2022 (EDM)"


@dataclass(frozen=True)
class DigitsNCSNpp(PackagedTeacher):
    """An NCSN++ of 1.0 M parameters, trained on the 1297 training digits."""

    name: ClassVar[str] = "digits-ncsnpp"
    citation: ClassVar[str] = CITATION
    dataset: ClassVar[str] = "digits"


@dataclass(frozen=True)
class PhotosNCSNpp(PackagedTeacher):
    """An NCSN++ of 0.7 M parameters, trained on the 2000 training crops of 16x16 pixels."""

    name: ClassVar[str] = "photos-ncsnpp"
    citation: ClassVar[str] = CITATION
    dataset: ClassVar[str] = "photos"
