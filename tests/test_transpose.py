"""Images into columns, whatever they are stored as."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from fpmc_bench.engine.machine.transpose import transpose_into


def check(rows: torch.Tensor) -> None:
    out = torch.full((rows.shape[1], rows.shape[0]), -1.0)
    before = rows.clone()
    transpose_into(out, rows)
    assert torch.equal(out, before.T.float())
    assert torch.equal(rows, before)


@given(images=st.integers(1, 70), dimensions=st.integers(1, 70), seed=st.integers(0, 2**31))
def test_bytes_of_any_shape(images: int, dimensions: int, seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    check(torch.randint(0, 256, (images, dimensions), dtype=torch.uint8, generator=generator))


@pytest.mark.parametrize("offset", [0, 1, 2, 3, 4])
def test_bytes_that_begin_anywhere(offset: int) -> None:
    stored = torch.arange(24 * 8 + offset).remainder(256).to(torch.uint8)
    check(stored[offset:].view(24, 8))


def test_rows_that_are_no_block_of_memory() -> None:
    check(torch.arange(240).to(torch.uint8).view(12, 20)[:, ::5])
    check(torch.arange(240).to(torch.uint8).view(12, 20)[::3])


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
def test_floats(dtype: torch.dtype) -> None:
    check(torch.linspace(-1, 1, 96).to(dtype).view(8, 12))
