"""Memory budgets, kept weights and precision: they change how, never what."""

import math
import weakref
from dataclasses import replace

import pytest
import torch
from torch import Tensor

from fpmc_bench import FPMC, Source
from fpmc_bench.engine import (
    EngineSettings,
    current_settings,
    evaluate,
    exact,
    fpmc_denoise,
    streaming,
    using,
)
from fpmc_bench.engine.machine import halving
from fpmc_bench.engine.machine.sizes import Limits, sizes_for
from fpmc_bench.engine.maps.products import SplitProduct
from fpmc_bench.engine.prepared import PreparedModel, prepare
from fpmc_bench.engine.streaming import FEWEST_KEPT, VECTOR, demand_of
from fpmc_bench.engine.ways import Way, way_of
from fpmc_bench.fpmc import Dense, DimensionOneHot, PixelOneHot, Separable, Translations, Uniform
from fpmc_bench.fpmc.reference import reference_denoise
from fpmc_bench.fpmc.shapes import ImageShape
from fpmc_plugins.denoisers.geometry import inner_windows
from fpmc_plugins.denoisers.ls import squares

SHAPE = ImageShape(3, 6, 5)
INNER = Separable(SHAPE, inner_windows(6, 3), inner_windows(5, 3))
MODELS = {
    "optimal": FPMC(Uniform(SHAPE), Uniform(SHAPE)),
    "ls": FPMC(squares(SHAPE, 3), PixelOneHot(SHAPE)),
    "els": FPMC(squares(SHAPE, 3), PixelOneHot(SHAPE), Translations(3)),
    "pspc-square": FPMC(INNER, INNER),
}


def source(images: int = 40) -> Source:
    draw = torch.Generator().manual_seed(0)
    return Source(torch.randint(256, (images, *SHAPE), dtype=torch.uint8, generator=draw))


def queries(sigma: float, count: int = 7) -> Tensor:
    noise = torch.randn(count, *SHAPE, generator=torch.Generator().manual_seed(1))
    return source().values()[:count] + sigma * noise


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("sigma", [0.02, 2.0])
def test_any_budget_gives_the_same_answer(name: str, sigma: float) -> None:
    z, model = queries(sigma), MODELS[name]
    expected = reference_denoise(model, source(), z, sigma)
    for budget_bytes in (1, 2**12, 2**16, 2**20, 2**30):
        output = fpmc_denoise(model, source(), z, sigma, budget_bytes=budget_bytes)
        assert float((output - expected).abs().max()) < 1e-4, budget_bytes


def test_a_model_that_is_gone_leaves_nothing_behind() -> None:
    model = FPMC(squares(SHAPE, 3), PixelOneHot(SHAPE))
    assert prepare(model, "cpu") is prepare(model, "cpu")
    gone = weakref.ref(prepare(model, "cpu"))
    del model
    assert gone() is None, "at once, not when garbage is collected"


def test_weights_are_kept_between_passes_as_far_as_the_budget_goes() -> None:
    prepared = prepare(MODELS["pspc-square"], "cpu")
    one_query_bytes = 40 * prepared.model.estimators * 4

    def kept(queries: int, budget_bytes: int) -> int:
        limits = Limits(budget_bytes)
        return sizes_for(
            demand_of(prepared), 40, queries, torch.float32, limits, on_gpu=False
        ).kept_queries

    assert kept(100, 8 * 100 * one_query_bytes // 3) == 100
    assert kept(100, 8 * 10 * one_query_bytes // 3 + 1) == 10
    assert kept(100, 8 * (FEWEST_KEPT - 1) * one_query_bytes // 3) == 0
    assert kept(2, 8 * 2 * one_query_bytes // 3 + 1) == 2


def test_working_arrays_follow_the_budget_and_hold_whole_vectors() -> None:
    demand = demand_of(prepare(MODELS["ls"], "cpu"))
    rows = SHAPE.pixels
    for budget_bytes in (2**16, 2**20, 2**30):
        sizes = sizes_for(demand, 10**6, 50, torch.float32, Limits(budget_bytes), on_gpu=False)
        assert 5 * rows * 4 * sizes.images * sizes.queries <= budget_bytes / 2
        assert sizes.images % VECTOR == 0 or sizes.images < VECTOR
    few = sizes_for(demand, 40, 1000, torch.float32, Limits(2**30), on_gpu=False)
    assert few.images == 40
    assert few.queries > 1, "queries share the array that few images leave empty"


def spied(
    monkeypatch: pytest.MonkeyPatch, most_bytes: float = math.inf, error: Exception | None = None
) -> list[int]:
    """The budgets that any way is given from now on; more than `most_bytes` is out of memory.

    `error`: what is raised then.
    """
    monkeypatch.setattr(halving, "_affordable_bytes", None)  # which is put back afterwards
    budgets: list[int] = []

    def way_seen(model: FPMC) -> Way:
        way = way_of(model)

        def denoise(
            prepared: PreparedModel, source: Source, z: Tensor, sigma: float, limits: Limits
        ) -> Tensor:
            budgets.append(limits.budget_bytes)
            if limits.budget_bytes > most_bytes:
                raise error or torch.OutOfMemoryError("a GPU's allocator says this")
            return way.denoise(prepared, source, z, sigma, limits)

        return replace(way, denoise=denoise)

    monkeypatch.setattr(evaluate, "way_of", way_seen)
    return budgets


def test_on_a_gpu_blocks_are_part_of_the_budget() -> None:
    """With one query a group there are as many images as pairs, each with arrays of its own."""
    for name in ("ls", "pspc-square"):
        demand = demand_of(prepare(MODELS[name], "cpu"))
        for budget_bytes in (2**20, 2**24, 2**30):
            limits = Limits(budget_bytes)
            sizes = sizes_for(demand, 10**7, 50, torch.float32, limits, on_gpu=True)
            pairs = sizes.images * sizes.queries
            arrays = demand.arrays * demand.rows * pairs + demand.block_rows * sizes.images
            assert budget_bytes / 4 < 4 * arrays <= budget_bytes / 2, budget_bytes
    few = sizes_for(demand, 40, 1000, torch.float32, Limits(2**30), on_gpu=True)
    assert (few.images, few.queries) == (40, 1000)


def test_on_a_gpu_the_parts_of_a_split_product_are_part_of_the_budget() -> None:
    prepared = prepare(MODELS["ls"], "cpu")
    plain = demand_of(prepared)
    matrix = torch.ones(SHAPE.pixels, SHAPE.pixels, dtype=torch.bool)
    split = demand_of(replace(prepared, precision=SplitProduct(matrix)))
    assert (plain.gpu_arrays, split.gpu_arrays) == (0, 10)
    sizes = [
        sizes_for(demand, 10**7, 1, torch.float32, Limits(2**24), on_gpu=True).images
        for demand in (plain, split)
    ]
    rows, of_image = SHAPE.pixels, 3 * SHAPE.dimensions + SHAPE.pixels
    expected = (15 * rows + of_image) / (5 * rows + of_image)
    assert sizes[0] / sizes[1] == pytest.approx(expected, rel=0.02)


def test_using_sets_the_budget_inside_its_block_only(monkeypatch: pytest.MonkeyPatch) -> None:
    seen = spied(monkeypatch)
    z = queries(1.0)
    with using(EngineSettings(budget_bytes=2**21)):
        fpmc_denoise(MODELS["ls"], source(), z, 1.0)
    fpmc_denoise(MODELS["ls"], source(), z, 1.0)
    fpmc_denoise(MODELS["ls"], source(), z, 1.0, budget_bytes=2**22)
    assert seen == [2**21, current_settings().budget_bytes, 2**22]


@pytest.mark.parametrize(
    "error",
    [
        torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB"),
        RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`"),
        RuntimeError("cuDNN error: CUDNN_STATUS_ALLOC_FAILED"),
        RuntimeError("Triton Error [CUDA]: out of memory"),
    ],
    ids=["torch", "cublas", "cudnn", "triton"],
)
def test_out_of_memory_halves_the_budget_once_for_the_whole_process(
    error: Exception, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    tried = spied(monkeypatch, most_bytes=2**24, error=error)
    z = queries(1.0)
    expected = reference_denoise(MODELS["ls"], source(), z, 1.0)
    for _ in range(2):
        output = fpmc_denoise(MODELS["ls"], source(), z, 1.0, budget_bytes=2**26)
        assert float((output - expected).abs().max()) < 1e-4
    assert tried == [2**26, 2**25, 2**24, 2**24]
    assert caplog.text.count("goes on with a budget of 16 MiB") == 1
    fpmc_denoise(MODELS["ls"], source(), z, 1.0, budget_bytes=2**22)
    assert tried[4:] == [2**22], "what was asked for, where that is less"


def test_another_error_is_not_taken_for_want_of_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    tried = spied(monkeypatch, most_bytes=0, error=RuntimeError("an illegal memory access"))
    with pytest.raises(RuntimeError, match="illegal"):
        fpmc_denoise(MODELS["ls"], source(), queries(1.0), 1.0)
    assert len(tried) == 1


def test_no_memory_at_all_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    spied(monkeypatch, most_bytes=0)
    with pytest.raises(torch.OutOfMemoryError):
        fpmc_denoise(MODELS["ls"], source(), queries(1.0), 1.0)
    assert halving._affordable_bytes is None, "nothing was enough, so nothing is known"


def test_float64_is_used_where_float32_could_show_and_only_there(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Near the data float32 decides; far from it at low noise its distances are too coarse."""
    seen: list[torch.dtype] = []

    def spy(prepared: PreparedModel, source_: Source, z: Tensor, *rest: object) -> object:
        seen.append(z.dtype)
        return streaming.stream(prepared, source_, z, *rest)  # type: ignore[arg-type]

    monkeypatch.setattr(exact, "stream", spy)
    for sigma in (0.05, 0.6, 3.0, 80.0):
        fpmc_denoise(MODELS["ls"], source(), queries(sigma), sigma)
    assert set(seen) == {torch.float32}
    z = queries(0.002)
    z[2] += 2
    fpmc_denoise(MODELS["ls"], source(), z, 0.002)
    assert seen[-1] == torch.float64


@pytest.mark.parametrize("sigma", [0.002, 0.01])
def test_queries_that_need_float64_do_not_slow_the_others_answers(sigma: float) -> None:
    """A batch in which one query is far away: each answer is what it is alone."""
    z = queries(sigma)
    z[3] += 2.5
    model = FPMC(Dense(SHAPE, torch.ones(90, 90)), DimensionOneHot(SHAPE))
    together = fpmc_denoise(model, source(), z, sigma)
    alone = torch.cat([fpmc_denoise(model, source(), one, sigma) for one in z.split(1)])
    expected = reference_denoise(model, source(), z, sigma)
    assert float((together - alone).abs().max()) < 1e-6
    assert float((together - expected).abs().max()) < 1e-4
