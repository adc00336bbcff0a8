"""FFHQ (Karras et al. 2019) and AFHQv2 (Choi et al. 2020) at 64x64, as EDM prepares them.

Neither has a test split: suites measure on samples of their tuning teacher (paper C.1).
"""

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from fpmc_bench import decoded_images
from fpmc_bench.contracts import FileDataset, ImageShape, Split, StoredImages


@dataclass(frozen=True)
class _Faces(FileDataset):
    expected_shape: ClassVar[ImageShape | None] = ImageShape(3, 64, 64)

    @property
    def splits(self) -> tuple[Split, ...]:
        return ("train",)

    def images(self, path: Path, split: Split) -> StoredImages:
        return decoded_images(path)


@dataclass(frozen=True)
class FFHQ64(_Faces):
    """FFHQ, 64x64 RGB faces: a zip or a folder; no test split."""

    name: ClassVar[str] = "ffhq64"
    citation: ClassVar[str] = "Karras et al. 2019, 'A style-based generator architecture' (FFHQ)"
    url: ClassVar[str] = "https://github.com/NVlabs/ffhq-dataset"
    expects: ClassVar[str] = (
        "expected ffhq-64x64.zip, made of the 1024x1024 or 128x128 images of FFHQ by "
        "'fpmc-bench data prepare FOLDER ffhq-64x64.zip --side-px 64'"
    )


@dataclass(frozen=True)
class AFHQv2(_Faces):
    """AFHQv2, 64x64 RGB animal faces: a zip or a folder; no test split."""

    name: ClassVar[str] = "afhqv2-64"
    citation: ClassVar[str] = "Choi et al. 2020, 'StarGAN v2' (AFHQ, version 2)"
    url: ClassVar[str] = "https://github.com/clovaai/stargan-v2"
    expects: ClassVar[str] = (
        "expected afhqv2-64x64.zip, made of the 512x512 images of AFHQv2 by "
        "'fpmc-bench data prepare FOLDER afhqv2-64x64.zip --side-px 64'"
    )
