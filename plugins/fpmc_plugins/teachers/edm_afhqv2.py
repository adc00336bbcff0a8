"""The EDM teachers of AFHQv2 at 64x64: a DDPM++ (`-vp`) and an NCSN++ (`-ve`), unconditional."""

from dataclasses import dataclass
from typing import ClassVar, Literal

from fpmc_bench.contracts import ImageShape
from fpmc_plugins.teachers.published import PublishedTeacher, expected_file

CITATION = "Karras et al. 2022 (EDM, arXiv:2206.00364), table 2: AFHQv2, unconditional"


@dataclass(frozen=True)
class EDMAFHQv2DDPMpp(PublishedTeacher):
    """EDM's published DDPM++ of AFHQv2 at 64x64, a file that you fetch."""

    name: ClassVar[str] = "edm-afhqv2-64x64-uncond-vp"
    citation: ClassVar[str] = CITATION
    dataset: ClassVar[str] = "afhqv2-64"
    architecture: ClassVar[Literal["ddpmpp", "ncsnpp"]] = "ddpmpp"
    shape: ClassVar[ImageShape] = ImageShape(3, 64, 64)
    expects: ClassVar[str] = expected_file(name)


@dataclass(frozen=True)
class EDMAFHQv2NCSNpp(PublishedTeacher):
    """EDM's published NCSN++ of AFHQv2 at 64x64, a file that you fetch."""

    name: ClassVar[str] = "edm-afhqv2-64x64-uncond-ve"
    citation: ClassVar[str] = CITATION
    dataset: ClassVar[str] = "afhqv2-64"
    architecture: ClassVar[Literal["ddpmpp", "ncsnpp"]] = "ncsnpp"
    shape: ClassVar[ImageShape] = ImageShape(3, 64, 64)
    expects: ClassVar[str] = expected_file(name)
