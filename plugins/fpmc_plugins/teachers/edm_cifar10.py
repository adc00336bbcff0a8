"""The EDM teachers of CIFAR-10 at 32x32: a DDPM++ (`-vp`) and an NCSN++ (`-ve`), unconditional."""

from dataclasses import dataclass
from typing import ClassVar, Literal

from fpmc_bench.contracts import ImageShape
from fpmc_plugins.teachers.published import PublishedTeacher, expected_file

CITATION = "Karras et al. 2022 (EDM, arXiv:2206.00364), table 2: CIFAR-10, unconditional"


@dataclass(frozen=True)
class EDMCifar10DDPMpp(PublishedTeacher):
    """EDM's published DDPM++ of CIFAR-10 at 32x32, a file that you fetch."""

    name: ClassVar[str] = "edm-cifar10-32x32-uncond-vp"
    citation: ClassVar[str] = CITATION
    dataset: ClassVar[str] = "cifar10"
    architecture: ClassVar[Literal["ddpmpp", "ncsnpp"]] = "ddpmpp"
    shape: ClassVar[ImageShape] = ImageShape(3, 32, 32)
    expects: ClassVar[str] = expected_file(name)


@dataclass(frozen=True)
class EDMCifar10NCSNpp(PublishedTeacher):
    """EDM's published NCSN++ of CIFAR-10 at 32x32, a file that you fetch."""

    name: ClassVar[str] = "edm-cifar10-32x32-uncond-ve"
    citation: ClassVar[str] = CITATION
    dataset: ClassVar[str] = "cifar10"
    architecture: ClassVar[Literal["ddpmpp", "ncsnpp"]] = "ncsnpp"
    shape: ClassVar[ImageShape] = ImageShape(3, 32, 32)
    expects: ClassVar[str] = expected_file(name)
