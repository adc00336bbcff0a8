"""Archives and folders of images."""

import json
import pickle
import tarfile
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
from pictures import encoded, picture, python2_batch

from fpmc_bench.images.cifar_archive import TEST_FILES, read_cifar_archive
from fpmc_bench.images.store import decoded_images
from fpmc_bench.storage.cache import ENVIRONMENT_VARIABLE
from fuzzing.places import variable
from fuzzing.trials import Loader

FORMATS = {"png": "RGB", "jpg": "RGB", "bmp": "P", "webp": "RGB", "ppm": "RGB", "tif": "L"}
"""Endings of image files, and a mode of Pillow that each can hold."""


def one_image(number: int, ending: str = "png", mode: str = "RGB") -> bytes:
    return encoded(picture(number, 16, mode), {"jpg": "jpeg", "tif": "tiff"}.get(ending, ending))


def write_cifar(folder: Path) -> list[Path]:
    inside = folder / "cifar-10-batches-py"
    inside.mkdir(exist_ok=True)
    data = np.random.default_rng(0).integers(0, 256, (2, 3072), dtype=np.uint8)
    (inside / TEST_FILES[0]).write_bytes(python2_batch(data, [7] * len(data)))
    for protocol in (2, 4):
        batch = {b"data": data, b"labels": [1, 2], b"filenames": [b"a", b"b"]}
        again = folder / str(protocol) / "cifar-10-batches-py"
        again.mkdir(parents=True, exist_ok=True)
        (again / TEST_FILES[0]).write_bytes(pickle.dumps(batch, protocol))
    archive = folder / "cifar-10-python.tar.gz"
    with tarfile.open(archive, "w:gz") as tar:
        tar.add(inside, inside.name)
    return [*sorted(folder.rglob(TEST_FILES[0])), archive]


def read_cifar(path: Path) -> Any:
    place = path if path.suffix == ".gz" else path.parent
    return read_cifar_archive(place, "test", place.parent / "images.npy")


def write_image_zip(folder: Path) -> list[Path]:
    names = [f"00000/img{number:08}.png" for number in range(3)]
    listed = {"labels": [[name, number] for number, name in enumerate(names)]}
    (folder / "zip").mkdir(exist_ok=True)
    with zipfile.ZipFile(folder / "zip" / "images.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        for number, name in enumerate(names):
            archive.writestr(name, one_image(number))
        archive.writestr("dataset.json", json.dumps(listed))
    return [folder / "zip" / "images.zip"]


def read_images(path: Path) -> Any:
    """Of a zip, or of all the files of a folder."""
    with variable(ENVIRONMENT_VARIABLE, path.parent.parent / "cache"):
        return decoded_images(path if path.suffix == ".zip" else path.parent)


def write_image_files(folder: Path) -> list[Path]:
    (folder / "images").mkdir(exist_ok=True)
    paths = [folder / "images" / f"a.{ending}" for ending in FORMATS]
    for number, (path, mode) in enumerate(zip(paths, FORMATS.values(), strict=True)):
        path.write_bytes(one_image(number, path.suffix[1:], mode))
    index = folder / "images" / "dataset.json"
    index.write_text(json.dumps({"labels": [[path.name, 1] for path in paths]}))
    return [*paths, index]


LOADERS = (
    Loader("CIFAR-10 archive", write_cifar, read_cifar),
    Loader("image zip", write_image_zip, read_images),
    Loader("image files", write_image_files, read_images),
)
