"""Union: the measure that its parts would be in one piece, without ever being in one piece."""

from dataclasses import replace

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from fpmc_bench import FPMC, Source
from fpmc_bench.engine import fpmc_denoise
from fpmc_bench.errors import InputError
from fpmc_bench.fpmc import PixelOneHot, Translations, Uniform
from fpmc_bench.fpmc.union import Union
from fpmc_plugins.denoisers.ls import squares

SIZES = (3, 4, 1)


def parts_of(*, weighted: bool = False) -> list[Source]:
    draw = torch.Generator().manual_seed(0)
    return [
        Source(
            torch.randint(0, 256, (size, 3, 5, 4), dtype=torch.uint8, generator=draw),
            torch.linspace(-1, 1, size) if weighted and size > 1 else None,
        )
        for size in SIZES
    ]


def in_one_piece(parts: list[Source]) -> Source:
    weights = None
    if any(part.log_weights is not None for part in parts):
        weights = torch.cat(
            [torch.zeros(len(p)) if p.log_weights is None else p.log_weights for p in parts]
        )
    return Source(torch.cat([part.images for part in parts]), weights)


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("size", [1, 2, 3, 5, 100])
def test_chunks_are_those_of_one_piece(weighted: bool, size: int) -> None:
    parts = parts_of(weighted=weighted)
    union, whole = Union(parts), in_one_piece(parts)
    assert (len(union), union.shape, union.nbytes) == (len(whole), whole.shape, whole.nbytes)
    assert torch.equal(union.squared_norms, whole.squared_norms)
    pairs = zip(
        union.chunks(size, "cpu", torch.float32),
        whole.chunks(size, "cpu", torch.float32),
        strict=True,
    )
    for found, expected in pairs:
        assert all(map(torch.equal, found, expected))
    assert "images" not in union.__dict__, "nobody asked for them in one piece"
    assert torch.equal(union.images, whole.images)


@given(rows=st.lists(st.integers(0, sum(SIZES) - 1), max_size=12))
def test_any_rows_in_any_order(rows: list[int]) -> None:
    parts = parts_of()
    index = torch.tensor(rows, dtype=torch.int64)
    assert torch.equal(Union(parts).stored(index), in_one_piece(parts).stored(index))


@given(start=st.integers(0, 9), stop=st.integers(0, 9))
def test_any_slice(start: int, stop: int) -> None:
    parts = parts_of()
    rows = slice(start, stop)
    assert torch.equal(Union(parts).stored(rows), in_one_piece(parts).stored(rows))


@pytest.mark.parametrize("method", ["optimal", "ls", "els"])
@pytest.mark.parametrize("sigma", [0.1, 2.0])
def test_denoisers_see_one_source(method: str, sigma: float) -> None:
    parts = parts_of(weighted=True)
    union, whole = Union(parts), in_one_piece(parts)
    patches = squares(whole.shape, 3)
    model = {
        "optimal": FPMC(Uniform(whole.shape), Uniform(whole.shape)),
        "ls": FPMC(patches, PixelOneHot(whole.shape)),
        "els": FPMC(patches, PixelOneHot(whole.shape), Translations(3)),
    }[method]
    z = whole.values()[:4] + sigma * torch.randn(4, 3, 5, 4)
    assert torch.equal(fpmc_denoise(model, union, z, sigma), fpmc_denoise(model, whole, z, sigma))
    assert "images" not in union.__dict__


def test_named_by_its_parts_and_knows_what_it_was_made_from() -> None:
    parts = parts_of()
    union = Union(parts)
    assert union.fingerprint == Union(parts_of()).fingerprint
    assert union.fingerprint != Union(parts[::-1]).fingerprint
    assert union.original is parts[0]
    assert Union([union, parts[2]]).original is parts[0]
    assert parts[1].original is parts[1]


def test_rows_that_images_come_from() -> None:
    first, second, third = parts_of()
    made = replace(second, made_from=torch.zeros(len(second), dtype=torch.long))
    rows = Union([first, made, third]).rows_in(first).tolist()
    assert rows == [*range(len(first)), *[0] * len(second), *[-1] * len(third)]
    with pytest.raises(InputError, match="a row per image"):
        replace(second, made_from=torch.zeros(len(second) + 1))


@pytest.mark.parametrize(
    "other",
    [
        Source(torch.zeros(2, 3, 5, 4)),
        Source(torch.zeros(2, 3, 5, 4, dtype=torch.uint8), scale=1 / 8),
        Source(torch.zeros(2, 3, 4, 5, dtype=torch.uint8)),
    ],
)
def test_parts_that_are_not_stored_alike_are_refused(other: Source) -> None:
    with pytest.raises(InputError, match="stored alike"):
        Union([parts_of()[0], other])


def test_slices_of_one_part_are_not_copied() -> None:
    parts = parts_of()
    first: Tensor = Union(parts).stored(slice(0, 2))
    assert first.data_ptr() == parts[0].images.data_ptr()
