"""Crops of the two photographs shipped in scikit-learn (china.jpg, flower.jpg; 427x640 RGB).

Each picture is cut into 4 x 8 regions of 106 x 80 px. Ten of them, spread over all rows, are kept
for testing and the others for training, so that both splits see all heights of both pictures and no
training crop shares a pixel with a test crop. Training crops are drawn from a grid of 4 px; test
crops do not overlap one another, and say which of the two pictures they are of: their errors are
clustered by it.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch

from fpmc_bench import Source
from fpmc_bench.contracts import BYTE_SCALE, Dataset, ParameterError, Split

REGION_ROWS, REGION_COLUMNS = 4, 8
REGION_HEIGHT_PX, REGION_WIDTH_PX = 106, 80
TRAIN_STRIDE_PX = 4
MAX_TRAIN, MAX_TEST = 2000, 500
SEED = 0


@dataclass(frozen=True)
class Photos(Dataset):
    """RGB crops of two photographs: up to 2000 training and 500 test images of disjoint regions.

    `side_px` is 16, 32 or 64; ParameterError for another.
    """

    name: ClassVar[str] = "photos"
    citation: ClassVar[str] = "scikit-learn sample images (china.jpg, flower.jpg), CC-BY"

    side_px: int = 16

    def __post_init__(self) -> None:
        if self.side_px not in (16, 32, 64):
            raise ParameterError(f"photos: side_px must be 16, 32 or 64, got {self.side_px}")

    def load(self, split: Split) -> Source:
        from sklearn.datasets import load_sample_images

        stride = TRAIN_STRIDE_PX if split == "train" else self.side_px
        pictures = load_sample_images().images
        found = [
            (crop, number)
            for number, picture in enumerate(pictures)
            for region in _regions(picture, split)
            for crop in _crops(region, self.side_px, stride)
        ]
        crops = np.stack([crop for crop, _ in found])
        groups = np.array([number for _, number in found], dtype=np.int64)
        limit = MAX_TRAIN if split == "train" else MAX_TEST
        order = np.random.default_rng(SEED).permutation(len(crops))[:limit]
        codes = np.ascontiguousarray(crops[order].transpose(0, 3, 1, 2))
        return Source(
            torch.from_numpy(codes), scale=BYTE_SCALE, groups=torch.from_numpy(groups[order])
        )


def _regions(picture: np.ndarray, split: Split) -> Iterator[np.ndarray]:
    """The regions [106,80,3] of one picture that belong to `split`."""
    for row in range(REGION_ROWS):
        for column in range(REGION_COLUMNS):
            held_out = (column + 3 * row) % 7 in (0, 3)
            if held_out == (split == "test"):
                top, left = row * REGION_HEIGHT_PX, column * REGION_WIDTH_PX
                yield picture[top : top + REGION_HEIGHT_PX, left : left + REGION_WIDTH_PX]


def _crops(region: np.ndarray, side_px: int, stride_px: int) -> Iterator[np.ndarray]:
    """Every crop [side,side,3] on a grid of `stride_px` that lies inside the region."""
    for top in range(0, region.shape[0] - side_px + 1, stride_px):
        for left in range(0, region.shape[1] - side_px + 1, stride_px):
            yield region[top : top + side_px, left : left + side_px]
