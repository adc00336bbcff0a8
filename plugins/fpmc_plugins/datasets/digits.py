"""Optical recognition of handwritten digits (Alpaydin & Kaynak 1998), shipped in scikit-learn.

1797 grey images of 8x8 pixels with 17 codes, 0..16, mapped to [-1, 1].
"""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch

from fpmc_bench import Source
from fpmc_bench.contracts import Dataset, Split

TRAIN_IMAGES = 1297
SPLIT_SEED = 0


@dataclass(frozen=True)
class Digits(Dataset):
    """8x8 grey handwritten digits: 1297 training and 500 test images, a fixed random split."""

    name: ClassVar[str] = "digits"
    citation: ClassVar[str] = "Alpaydin & Kaynak 1998, UCI 'Optical Recognition of Digits'"

    def load(self, split: Split) -> Source:
        from sklearn.datasets import load_digits

        codes = load_digits().images.astype(np.uint8)
        order = np.random.default_rng(SPLIT_SEED).permutation(len(codes))
        rows = order[:TRAIN_IMAGES] if split == "train" else order[TRAIN_IMAGES:]
        return Source(torch.from_numpy(codes[rows])[:, None], scale=1 / 8)
