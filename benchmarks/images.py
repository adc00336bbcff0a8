"""Images for the benchmarks, as uint8 codes [N,C,H,W]: from a zip, or from what is at hand.

`edm_images` reads the layout of EDM's dataset tool, `photo_images` the project's own crops of two
photographs, `random_images` draws smooth noise, as many images as one likes.
"""

import zipfile
from pathlib import Path, PurePosixPath

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from fpmc_bench import load_dataset
from fpmc_bench.errors import InputError

PHOTO_SIDES_PX = (16, 32, 64)
IMAGE_SUFFIXES = (".png", ".jpg", ".jpeg", ".webp", ".bmp")
SMOOTH_PX = 4
"""Random images have one random colour every so many pixels, and straight lines between."""


def edm_images(path: Path, count: int) -> Tensor:
    """The first `count` images of a zip of img00000000.png and so on, in the order of names.

    Raises InputError where the file is no such zip or has fewer images.
    """
    if not zipfile.is_zipfile(path):
        raise InputError(f"{path} is not a zip file; expected images as 00000/img00000000.png")
    with zipfile.ZipFile(path) as archive:
        names = sorted(
            name
            for name in archive.namelist()
            if PurePosixPath(name).suffix.lower() in IMAGE_SUFFIXES
        )
        if len(names) < count:
            raise InputError(f"{count} images are needed, {path} has {len(names)}")
        images: list[np.ndarray] = []
        for name in names[:count]:
            with archive.open(name) as file:
                image = Image.open(file)
                codes = np.asarray(image if image.mode == "L" else image.convert("RGB"))
            if images and codes.shape != images[0].shape:
                raise InputError(
                    f"{name} of {path} is {codes.shape[1]}x{codes.shape[0]} pixels, the first "
                    f"image is {images[0].shape[1]}x{images[0].shape[0]}; expected one size"
                )
            images.append(codes)
    stacked = torch.from_numpy(np.stack(images))
    return stacked[:, None] if stacked.ndim == 3 else stacked.permute(0, 3, 1, 2).contiguous()


def photo_images(train: int, test: int, side_px: int) -> tuple[Tensor, Tensor]:
    """Crops of `side_px` (up to 64) of the `photos` dataset: training ones, test ones."""
    available = [side for side in PHOTO_SIDES_PX if side >= side_px]
    if side_px < 1 or not available:
        raise InputError(f"photos have sides of 1 to {PHOTO_SIDES_PX[-1]} pixels, got {side_px}")
    photos = load_dataset("photos", {"side_px": available[0]})
    assert photos.test is not None, "photos have test images"
    splits = []
    for name, split, count in (("training", photos.train, train), ("test", photos.test, test)):
        if count > len(split):
            raise InputError(
                f"{count} {name} images are needed, photos of side {available[0]} has {len(split)}"
            )
        splits.append(split.images[:count, :, :side_px, :side_px].contiguous())
    return splits[0], splits[1]


def random_images(count: int, side_px: int, seed: int = 0) -> Tensor:
    """Smooth RGB images, drawn a thousand at a time so that the floats take little memory."""
    generator = torch.Generator().manual_seed(seed)
    knots = max(side_px // SMOOTH_PX, 2)
    images = torch.empty(count, 3, side_px, side_px, dtype=torch.uint8)
    for chunk in images.split(1000):
        colours = torch.rand(len(chunk), 3, knots, knots, generator=generator)
        smooth = torch.nn.functional.interpolate(
            colours, size=(side_px, side_px), mode="bilinear", align_corners=True
        )
        chunk.copy_((smooth * 255).round())
    return images
