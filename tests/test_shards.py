"""A source in parts: its processes find together what one finds alone, or all have an error."""

import math
from collections.abc import Callable
from typing import Any

import pytest
import torch
from gpu_cases import denoiser_of, queries_of, taking
from hypothesis import example, given, settings
from hypothesis import strategies as st
from pretend_device import pretending
from sharing_threads import in_threads
from test_engine import FAMILIES, SHAPES, SIGMAS, model_of, queries, rand
from torch import Tensor

from fpmc_bench import FPMC, Source
from fpmc_bench.engine import fpmc_denoise, using
from fpmc_bench.engine.blocks import BlockReader
from fpmc_bench.engine.machine import halving
from fpmc_bench.errors import PluginError
from fpmc_bench.fpmc import PixelMasks
from fpmc_bench.fpmc.reference import reference_denoise
from fpmc_bench.fpmc.shapes import ImageShape
from fpmc_bench.fpmc.union import Union
from fpmc_bench.harness.cluster.processes import LostProcessError
from fpmc_bench.harness.cluster.shards import Shards
from fpmc_plugins.denoisers.ls import squares

NEAR = 1e-6
"""Of values in [-1,1], where a query is a noisy image; sums over thousands round by 2e-6."""
FAR = 2e-5
"""Beyond all images energies are so large that other numbers of columns are rounded otherwise."""
SHAPE = SHAPES[0]


def together(world: int, model: FPMC, source: Source, z: Tensor, *rest: Any, **more: Any) -> Tensor:
    """What all processes find, who agree to the last bit."""

    def work(shards: Shards) -> Tensor:
        with shards.unit("a unit"):
            return fpmc_denoise(model, source, z, *rest, **more)

    found = in_threads(world, work)
    for one in found:
        if isinstance(one, Exception):
            raise one
    first, *others = [one for one in found if isinstance(one, Tensor)]
    assert all(torch.equal(first, other) for other in others)
    return first


def weighted_source(images: int, seed: int = 0) -> Source:
    """Codes, some there twice, with weights of which every third is none."""
    codes = (rand(seed, images, *SHAPE) * 256).to(torch.uint8)
    codes[-(images // 3) :] = codes[: images // 3]
    log_weights = 4 * rand(seed + 1, images)
    log_weights[1::3] = -math.inf
    return Source(codes, log_weights)


@settings(max_examples=40, deadline=None)
@given(
    world=st.integers(2, 4),
    family=st.sampled_from(FAMILIES),
    shape=st.sampled_from(SHAPES),
    sigma=st.sampled_from(SIGMAS),
    images=st.integers(1, 40),
    far=st.booleans(),
    weighted=st.booleans(),
    budget_bytes=st.sampled_from([2**14, 2**17, 2**30]),
    chunk_images=st.none() | st.integers(1, 20),
    seed=st.integers(0, 1000),
)
@example(4, "els", SHAPES[0], 0.3, 2, False, True, 2**30, None, 0)  # more processes than images
@example(3, "masks", SHAPES[0], 0.002, 40, True, False, 2**14, None, 1)  # float64, twice computed
@example(2, "uniform", SHAPES[1], 80.0, 40, False, True, 2**30, 3, 2)
def test_parts_find_together_what_one_finds_alone(
    world: int,
    family: str,
    shape: ImageShape,
    sigma: float,
    images: int,
    far: bool,
    weighted: bool,
    budget_bytes: int,
    chunk_images: int | None,
    seed: int,
) -> None:
    log_weights = rand(seed + 2, images) * 4 if weighted else None
    source = Source(rand(seed, images, *shape) * 2 - 1, log_weights)
    model, z = model_of(family, shape, seed), queries(source, sigma, seed, far)
    sizes = {"budget_bytes": budget_bytes, "chunk_images": chunk_images}
    alone = fpmc_denoise(model, source, z, sigma, **sizes)
    found = together(world, model, source, z, sigma, **sizes)
    assert float((found - alone).abs().max()) <= (FAR if far else NEAR)


@pytest.mark.parametrize("world", [2, 3, 4])
@pytest.mark.parametrize("family", FAMILIES)
def test_a_process_may_have_no_image_of_any_weight(family: str, world: int) -> None:
    log_weights = torch.full((30,), -math.inf)
    log_weights[28:] = 0  # in the part of the last
    source = Source(weighted_source(30).images, log_weights)
    model, z = model_of(family, SHAPE, 0), queries(source, 0.3, 0, far=False)
    expected = reference_denoise(model, source, z, 0.3)
    found = together(world, model, source, z, 0.3)
    torch.testing.assert_close(found.double(), expected, atol=1e-5, rtol=0)
    assert float((found - fpmc_denoise(model, source, z, 0.3)).abs().max()) <= NEAR


@pytest.mark.parametrize("sigma", [0.02, 5.0])
@pytest.mark.parametrize("family", ["uniform", "ls", "els", "masks"])
def test_each_part_of_a_union_is_divided_by_itself(family: str, sigma: float) -> None:
    plain = Source((rand(3, 50, *SHAPE) * 256).to(torch.uint8))
    source, model = Union([plain, weighted_source(31)], plain), model_of(family, SHAPE, 0)
    z = queries(plain, sigma, 0, far=False)
    alone = fpmc_denoise(model, source, z, sigma)
    assert float((together(3, model, source, z, sigma) - alone).abs().max()) <= NEAR


@pytest.mark.parametrize("budget_bytes", [2**17, 2**30])
def test_a_second_pass_picks_images_in_each_part(
    budget_bytes: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    parts: list[int] = []
    only = BlockReader.only

    def spy(reader: BlockReader, columns: Tensor) -> BlockReader:
        parts.append(len(reader))
        return only(reader, columns)

    monkeypatch.setattr(BlockReader, "only", spy)
    source, model = weighted_source(600), FPMC(squares(SHAPE, 3), squares(SHAPE, 3))
    z = queries(source, 0.02, 0, far=False)
    alone = fpmc_denoise(model, source, z, 0.02, budget_bytes=budget_bytes)
    found = together(3, model, source, z, 0.02, budget_bytes=budget_bytes)
    assert float((found - alone).abs().max()) <= NEAR
    assert set(parts) == {400, 133, 134}, "400 of 600 have a weight, and 200 are in each part"


def test_all_begin_anew_where_one_is_out_of_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(halving, "_affordable_bytes", None)
    source, model = weighted_source(60), model_of("masks", SHAPE, 0)
    z, budgets = queries(source, 0.3, 0, far=False), list[int]()

    def work(shards: Shards) -> int:
        def compute(budget: int) -> int:
            budgets.append(budget)
            if shards.rank == 1 and budget > 2**26:
                raise torch.OutOfMemoryError("CUDA out of memory")
            return int(shards.sum(torch.tensor(budget)))

        with shards.unit("a unit"):
            return halving.within_memory(2**28, compute, shards)

    assert in_threads(3, work) == [3 * 2**26] * 3
    assert sorted(budgets) == [2**26] * 3 + [2**27] * 3 + [2**28] * 3
    assert halving._affordable_bytes == 2**26
    alone = fpmc_denoise(model, source, z, 0.3)
    assert float((together(3, model, source, z, 0.3) - alone).abs().max()) <= NEAR


def test_where_nothing_is_little_enough_all_say_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(halving, "_affordable_bytes", None)

    def work(shards: Shards) -> int:
        def compute(budget: int) -> int:
            if shards.rank == 1:
                raise torch.OutOfMemoryError("CUDA out of memory")
            return 0

        with shards.unit("a unit"):
            return halving.within_memory(2**22, compute, shards)

    found = in_threads(2, work)
    assert all(isinstance(one, torch.OutOfMemoryError) for one in found)


# --- what one does otherwise than the others


def at(*steps: Callable[[Shards, int], object]) -> list[list[object]]:
    """What each of three processes makes of these steps, each a unit of its own."""

    def work(shards: Shards) -> list[object]:
        found: list[object] = []
        for step in steps:
            try:
                with shards.unit("a unit"):
                    answer = step(shards, shards.rank)
                found.append(answer)
            except Exception as error:
                found.append(error)
        return found

    return [one if isinstance(one, list) else [one] for one in in_threads(3, work)]


def well(shards: Shards, rank: int) -> int:
    return int(shards.sum(torch.tensor(rank)))


def test_what_one_raises_all_raise_and_the_next_unit_is_as_ever() -> None:
    def one_raises(shards: Shards, rank: int) -> int:
        if rank == 1:
            raise ValueError("nobody knows this number")
        return well(shards, rank)

    for found in at(one_raises, well):
        assert isinstance(found[0], ValueError | PluginError)
        assert "nobody knows this number" in str(found[0])
        assert found[1] == 3


def test_a_plugin_that_swallows_it_fails_all_the_same() -> None:
    def swallows(shards: Shards, rank: int) -> int:
        try:
            if rank == 2:
                raise ValueError("lost on the way")
            well(shards, rank)
        except Exception:
            if rank == 2:
                raise
        try:
            return well(shards, rank)  # and goes on as if nothing were
        except PluginError:
            return -1

    for found in at(swallows, well):
        assert isinstance(found[0], Exception)
        assert found[1] == 3


def test_who_asks_for_more_or_for_other_than_the_others_fails_everywhere() -> None:
    def more(shards: Shards, rank: int) -> int:
        return sum(well(shards, rank) for _ in range(1 + (rank == 1)))

    def other(shards: Shards, rank: int) -> Tensor:
        return shards.minimum(torch.zeros(1 + rank))

    def short(shards: Shards, rank: int) -> bool:
        return rank == 1 and shards.short(True)

    for found in at(more, well, other, well, short, well):
        assert isinstance(found[0], PluginError)
        assert "process 1 is at a sum of [] torch.int64" in str(found[0])
        assert "process 2 is at a minimum of [3] torch.float32" in str(found[2])
        assert "don't ask for the same" in str(found[4])
        assert [found[1], found[3], found[5]] == [3, 3, 3]


def test_a_model_that_is_another_in_each_process_is_refused_and_a_query_is_the_first_ones() -> None:
    source = weighted_source(30)
    z = [queries(source, 0.3, seed, far=False) for seed in range(3)]

    def models(shards: Shards, rank: int) -> Tensor:
        return fpmc_denoise(model_of("masks", SHAPE, rank), source, z[0], 0.3)

    def sigmas(shards: Shards, rank: int) -> Tensor:
        return fpmc_denoise(model_of("masks", SHAPE, 0), source, z[0], 0.3 + rank)

    def asked(shards: Shards, rank: int) -> Tensor:
        return fpmc_denoise(model_of("masks", SHAPE, 0), source, z[rank], 0.3)

    alone = fpmc_denoise(model_of("masks", SHAPE, 0), source, z[0], 0.3)
    for found in at(models, sigmas, asked):
        assert isinstance(found[0], PluginError)
        assert "not the same in all of them" in str(found[0])
        assert isinstance(found[1], PluginError)
        assert isinstance(found[2], Tensor)
        assert float((found[2] - alone).abs().max()) <= NEAR


def test_what_the_first_decides_holds_for_all() -> None:
    def work(shards: Shards) -> list[bool]:
        return [shards.decided(shards.rank == 0), shards.decided(shards.rank != 0)]

    assert in_threads(3, work) == [[True, False]] * 3


def test_a_process_that_has_ended_is_no_fault_of_the_row() -> None:
    def gone(values: Tensor, how: str) -> Tensor:
        raise LostProcessError("another process has ended")

    def swallows(shards: Shards) -> None:
        with shards.unit("a unit"), pytest.raises(LostProcessError):
            shards.sum(torch.zeros(1))

    shards = Shards(0, 2, gone, lambda text: [text])
    with pytest.raises(LostProcessError, match="has ended"):
        swallows(shards)
    with pytest.raises(LostProcessError, match="has ended"), shards.unit("the next"):
        pass


def test_without_parts_there_is_nothing_to_share() -> None:
    """Outside of a unit the engine evaluates by itself, whoever else there is."""
    source = weighted_source(10)
    masks = PixelMasks(SHAPE, rand(0, 4, *SHAPE[1:]) + 0.1)
    found = in_threads(2, lambda _: fpmc_denoise(FPMC(masks, masks), source, source.values(), 1.0))
    assert all(isinstance(one, Tensor) for one in found)


@pytest.mark.parametrize("name", ["optimal", "ls", "els", "pspc-flex"])
def test_parts_on_a_gpu_are_merged_there(name: str) -> None:
    """One process that has all: devices don't mix, and nothing is found but what is without."""

    def reduce(values: Tensor, how: str) -> Tensor:
        return values.to("cpu", copy=True).to(values.device)

    alone = Shards(0, 1, reduce, lambda text: [text])
    with pretending(), using(taking("subset-sums")):
        built = denoiser_of(name, "union", "cuda:0")
        for sigma in (80.0, 0.002):
            z = queries_of(built.source, sigma).to("cuda:0")
            expected = built(z, sigma)
            with alone.unit("a unit"):
                found = built(z, sigma)
            assert found.is_cuda
            torch.testing.assert_close(found.cpu(), expected.cpu(), atol=NEAR, rtol=0)
