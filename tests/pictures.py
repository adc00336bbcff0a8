"""Pictures and archives of them, for the tests of datasets that a user keeps in files."""

import io
import json
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


def png(image: Image.Image) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, "PNG")
    return buffer.getvalue()


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


def load(name: str, path: Path, **params: int) -> LoadedDataset:
    return load_dataset(name, params, places=Places(data={name: str(path)}))
