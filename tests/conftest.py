"""Shared by all tests: a cache of their own, one thread, no network."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from fpmc_bench import Source, load_dataset

torch.set_num_threads(1)


@pytest.fixture(scope="session", autouse=True)
def _own_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Fitted tensors of the tests never meet those of the user."""
    folder = tmp_path_factory.mktemp("cache")
    os.environ["FPMC_BENCH_CACHE"] = str(folder)
    yield folder
    del os.environ["FPMC_BENCH_CACHE"]


@pytest.fixture(scope="session")
def digits() -> Source:
    """The training images of the embedded digits."""
    return load_dataset("digits").train
