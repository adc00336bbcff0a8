"""What the second pass leaves out: images without weight, and nothing that can be seen."""

import math

import pytest
import torch

from fpmc_bench import FPMC, Source
from fpmc_bench.engine import fpmc_denoise
from fpmc_bench.engine.blocks import BlockReader
from fpmc_bench.fpmc.reference import reference_denoise
from fpmc_bench.fpmc.shapes import ImageShape
from fpmc_plugins.denoisers.ls import squares

SHAPE = ImageShape(2, 9, 9)
IMAGES = 600
SIGMA = 0.2


@pytest.fixture
def picked(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Which part of the images was read again, for each group of queries where few were."""
    parts: list[float] = []
    only = BlockReader.only

    def spy(reader: BlockReader, columns: torch.Tensor) -> BlockReader:
        parts.append(len(columns) / len(reader))
        return only(reader, columns)

    monkeypatch.setattr(BlockReader, "only", spy)
    return parts


def problem(*, weighted: bool) -> tuple[Source, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    levels = torch.randint(0, 256, (IMAGES, *SHAPE), dtype=torch.uint8, generator=generator)
    log_weights = torch.randn(IMAGES, generator=generator) if weighted else None
    if log_weights is not None:
        log_weights[::3] = -torch.inf  # columns of blocks are no longer rows of the source
    source = Source(levels, log_weights)
    clean = source.values()[1:40:3]
    return source, clean + SIGMA * torch.randn(clean.shape, generator=generator)


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("chunk", [None, 7, 64])
@pytest.mark.parametrize("budget_bytes", [2**17, 2**30])  # weights computed again, or kept
def test_only_images_of_weight_are_read_again(
    picked: list[float], weighted: bool, chunk: int | None, budget_bytes: int
) -> None:
    source, z = problem(weighted=weighted)
    model = FPMC(squares(SHAPE, 5), squares(SHAPE, 5))
    found = fpmc_denoise(
        model, source, z, SIGMA, budget_bytes=budget_bytes, chunk_images=chunk, batch_queries=2
    )
    expected = reference_denoise(model, source, z, SIGMA)
    torch.testing.assert_close(found.double(), expected, atol=1e-5, rtol=0)
    assert picked
    assert max(picked) <= 0.25


@pytest.mark.parametrize("chunk", [None, 64])  # nearer images come with later chunks
@pytest.mark.parametrize("budget_bytes", [2**17, 2**30])
def test_where_many_have_weight_all_are_read_again(
    picked: list[float], chunk: int | None, budget_bytes: int
) -> None:
    source, z = problem(weighted=False)
    model = FPMC(squares(SHAPE, 3), squares(SHAPE, 3))
    found = fpmc_denoise(model, source, z, 5.0, budget_bytes=budget_bytes, chunk_images=chunk)
    expected = reference_denoise(model, source, z, 5.0)
    torch.testing.assert_close(found.double(), expected, atol=1e-5, rtol=0)
    assert not picked


def test_what_many_images_of_little_weight_add_up_to_is_not_left_out(picked: list[float]) -> None:
    """One image, a sixth of the others with 1e-5 of its weight each, the rest with none to see."""
    generator = torch.Generator().manual_seed(0)
    log_weights = torch.full((IMAGES,), -40.0)
    log_weights[::6] = math.log(1e-5)
    log_weights[0] = 0
    images = torch.rand(IMAGES, *SHAPE, generator=generator)
    images[0] = -1
    z = 100 * torch.randn(3, *SHAPE, generator=generator)
    source, model = Source(images, log_weights), FPMC(squares(SHAPE, 5), squares(SHAPE, 5))
    found = fpmc_denoise(model, source, z, 100.0)
    expected = reference_denoise(model, source, z, 100.0)
    torch.testing.assert_close(found.double(), expected, atol=1e-5, rtol=0)
    assert float((expected + 1).amin()) > 5e-4, "they show"
    assert picked == pytest.approx([1 / 6], abs=0.01)
