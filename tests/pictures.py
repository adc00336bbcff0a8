"""Pictures and archives of them, for the tests of datasets that a user keeps in files."""

import io
import json
import struct
import zipfile
from pathlib import Path

import numpy as np
from PIL import Image

from fpmc_bench.catalog.datasets import LoadedDataset, load_dataset
from fpmc_bench.catalog.places import Places


def picture(seed: int, side_px: int = 32, mode: str = "RGB") -> Image.Image:
    draw = np.random.default_rng(seed)
    values = draw.integers(0, 256, (side_px, side_px, 3), dtype=np.uint8)
    return Image.fromarray(values).convert(mode)


def encoded(image: Image.Image, kind: str, **options: object) -> bytes:
    """As a file of this kind, by Pillow's name for it."""
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def png(image: Image.Image) -> bytes:
    return encoded(image, "PNG")


def write_zip(path: Path, members: dict[str, bytes]) -> Path:
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return path


def edm_zip(path: Path, count: int, side_px: int = 32, labels: bool = True) -> Path:
    names = [f"00000/img{index:08d}.png" for index in range(count)]
    members = {name: png(picture(index, side_px)) for index, name in enumerate(names)}
    listed = [[name, index % 2] for index, name in enumerate(names)] if labels else None
    return write_zip(path, {**members, "dataset.json": json.dumps({"labels": listed}).encode()})


def python2_batch(data: np.ndarray, labels: list[int]) -> bytes:
    """As Python 2 wrote the official files (protocol 2): its strings are bytes, and its own."""

    def string(value: bytes) -> bytes:
        short = len(value) < 256
        return (
            b"U" + bytes([len(value)]) if short else b"T" + struct.pack("<i", len(value))
        ) + value

    array = b"cnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\nK\x00\x85U\x01b\x87R"
    array += b"(K\x01K" + bytes([len(data)]) + b"M\x00\x0c\x86"
    array += b"cnumpy\ndtype\nU\x02u1K\x00K\x01\x87R"
    array += b"(K\x03U\x01|NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb"
    array += b"\x89" + string(data.tobytes()) + b"tb"
    numbers = b"]q\x05(" + b"".join(b"K" + bytes([label]) for label in labels) + b"e"
    items = [b"batch_label", string(b"training batch 1 of 5"), b"labels", numbers, b"data", array]
    items[::2] = map(string, items[::2])
    return b"\x80\x02}q\x01(" + b"".join(items) + b"u."


def load(name: str, path: Path, **params: int) -> LoadedDataset:
    return load_dataset(name, params, places=Places(data={name: str(path)}))
