"""CIFAR-10 (Krizhevsky 2009): 60 000 colour images of 32x32 pixels, as its user keeps them."""

import tarfile
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from fpmc_bench import decoded_images, file_fingerprint, read_cifar_archive, stored_images
from fpmc_bench.contracts import FileDataset, ImageShape, InputError, Split, StoredImages

VERSION = 1


@dataclass(frozen=True)
class Cifar10(FileDataset):
    """CIFAR-10, 32x32 RGB: the python archive, its unpacked folder, or a zip in EDM's layout.

    A zip holds the training images; the test images are looked for beside it, under the same name
    with "test" in place of "train", or with "-test" at its end.
    """

    name: ClassVar[str] = "cifar10"
    citation: ClassVar[str] = "Krizhevsky 2009, 'Learning multiple layers of features'"
    url: ClassVar[str] = "https://www.cs.toronto.edu/~kriz/cifar.html"
    expects: ClassVar[str] = (
        "expected cifar-10-python.tar.gz, which 'fpmc-bench data fetch cifar10' gets, or a zip in "
        "EDM's layout"
    )

    expected_shape: ClassVar[ImageShape | None] = ImageShape(3, 32, 32)

    def images(self, path: Path, split: Split) -> StoredImages:
        """With labels, where there are any."""
        if path.is_dir() or _is_tar(path):
            key = f"{file_fingerprint(path)[:24]}{split}{VERSION}"
            return stored_images(key, lambda target: read_cifar_archive(path, split, target))
        return decoded_images(path if split == "train" else _test_zip(path))


def _is_tar(path: Path) -> bool:
    return path.name.endswith((".tar.gz", ".tgz", ".tar")) or tarfile.is_tarfile(path)


def _test_zip(path: Path) -> Path:
    candidates = [path.with_name(f"{path.stem}-test{path.suffix}")]
    if "train" in path.name:
        candidates.insert(0, path.with_name(path.name.replace("train", "test")))
    for candidate in candidates:
        if candidate.is_file():
            return candidate
    wanted = " or ".join(candidate.name for candidate in candidates)
    raise InputError(
        f"{path} holds the training images only; expected the test images beside it, as {wanted}; "
        f"or give the python archive, which has both"
    )
