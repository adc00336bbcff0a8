"""Archives and folders of images."""

import io
import json
import pickle
import struct
import tarfile
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from fpmc_bench.images.cifar_archive import TEST_FILES, read_cifar_archive
from fpmc_bench.images.store import decoded_images
from fpmc_bench.storage.cache import ENVIRONMENT_VARIABLE
from fuzzing.places import variable
from fuzzing.trials import Loader

FORMATS = {"png": "RGB", "jpg": "RGB", "bmp": "P", "webp": "RGB", "ppm": "RGB", "tif": "L"}
"""Endings of image files, and a mode of Pillow that each can hold."""


def picture(number: int, mode: str = "RGB", side_px: int = 16) -> Image.Image:
    codes = np.random.default_rng(number).integers(0, 256, (side_px, side_px, 3), dtype=np.uint8)
    return Image.fromarray(codes).convert(mode)


def encoded(number: int, ending: str = "png", mode: str = "RGB") -> bytes:
    output = io.BytesIO()
    names = {"jpg": "jpeg", "tif": "tiff"}
    picture(number, mode).save(output, names.get(ending, ending))
    return output.getvalue()


def python2_array(data: np.ndarray) -> bytes:
    """A dict of images and labels, as Python 2 wrote the official files."""
    content = data.tobytes()
    array = b"cnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\nK\x00\x85U\x01b\x87R"
    array += b"(K\x01K" + bytes([len(data)]) + b"M\x00\x0c\x86"
    array += b"cnumpy\ndtype\nU\x02u1K\x00K\x01\x87R"
    array += b"(K\x03U\x01|NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb"
    array += b"\x89T" + struct.pack("<i", len(content)) + content + b"tb"
    labels = b"U\x06labels]q\x05(" + b"K\x07" * len(data) + b"e"
    return b"\x80\x02}q\x01(" + labels + b"U\x04data" + array + b"u."


def write_cifar(folder: Path) -> list[Path]:
    inside = folder / "cifar-10-batches-py"
    inside.mkdir(exist_ok=True)
    data = np.random.default_rng(0).integers(0, 256, (2, 3072), dtype=np.uint8)
    (inside / TEST_FILES[0]).write_bytes(python2_array(data))
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
            archive.writestr(name, encoded(number))
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
        path.write_bytes(encoded(number, path.suffix[1:], mode))
    index = folder / "images" / "dataset.json"
    index.write_text(json.dumps({"labels": [[path.name, 1] for path in paths]}))
    return [*paths, index]


LOADERS = (
    Loader("CIFAR-10 archive", write_cifar, read_cifar),
    Loader("image zip", write_image_zip, read_images),
    Loader("image files", write_image_files, read_images),
)
