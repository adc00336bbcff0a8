"""What models and their maps take, and which of them are kept: bytes and counts by hand."""

import weakref
from collections import Counter
from itertools import pairwise

import pytest
import torch

from fpmc_bench import FPMC
from fpmc_bench.engine import Arithmetic, EngineSettings, using
from fpmc_bench.engine.machine.keeping import KeptModels
from fpmc_bench.engine.prepared import prepare, prepared_storages
from fpmc_bench.fpmc import (
    Dense,
    DimensionOneHot,
    Filter,
    PixelMasks,
    PixelOneHot,
    Separable,
    Uniform,
)
from fpmc_bench.fpmc.shapes import ImageShape

SHAPE = ImageShape(2, 6, 5)
PIXELS, DIMENSIONS = 30, 60
PLAIN = EngineSettings(arithmetic=Arithmetic(1, 1, forced="float32"))
SUMS = EngineSettings(arithmetic=Arithmetic(1, 1, forced="subset-sums"))
MODEL_BYTES = 2**12


def prepared_bytes(model: FPMC) -> int:
    """Of a model and all that has been prepared of it."""
    return sum(prepared_storages(model).values())


def masks(images: int = 7) -> PixelMasks:
    return PixelMasks(SHAPE, torch.ones(images, 6, 5, dtype=torch.bool))


def binary(*size: int) -> torch.Tensor:
    """Half full, the first row wholly, for no dimension may go without response."""
    matrix = torch.rand(size, generator=torch.Generator().manual_seed(0)) > 0.5
    matrix[0] = True
    return matrix


@pytest.mark.parametrize(
    ("filter_", "nbytes"),
    [
        (Uniform(SHAPE), 0),
        (PixelOneHot(SHAPE), 0),
        (DimensionOneHot(SHAPE), 0),
        (Separable(SHAPE, torch.rand(3, 6), torch.rand(4, 5).double()), 3 * 6 * 4 + 4 * 5 * 8),
        (masks(), 7 * PIXELS),
        (PixelMasks(SHAPE, torch.rand(7, 6, 5)), 7 * PIXELS * 4),
        (Dense(SHAPE, torch.rand(5, DIMENSIONS).bfloat16()), 5 * DIMENSIONS * 2),
    ],
)
def test_a_filter_takes_what_its_tensors_take(filter_: Filter, nbytes: int) -> None:
    assert filter_.nbytes == nbytes
    assert FPMC(filter_, filter_).nbytes == nbytes, "both filters are one"


def test_what_filters_share_counts_once_and_a_view_holds_what_it_is_a_view_of() -> None:
    values = torch.rand(10, 6, 5)
    twice = FPMC(PixelMasks(SHAPE, values[:7]), PixelMasks(SHAPE, values[3:]))
    assert twice.nbytes == values.nbytes
    rest = FPMC(PixelMasks(SHAPE, values[:7]), masks())
    assert rest.nbytes == values.nbytes + 7 * PIXELS


def test_maps_are_counted_where_there_are_any_and_share_with_their_model() -> None:
    """float32 masks are multiplied as they are, boolean ones as float32, beside what both add."""
    ends = 4 * (PIXELS + 7)  # coverage and mass
    soft, hard = (PixelMasks(SHAPE, values) for values in (torch.rand(7, 6, 5), masks().masks))
    for filter_, extra in ((soft, 0), (hard, 4 * 7 * PIXELS)):
        model = FPMC(filter_, filter_)
        assert prepared_bytes(model) == model.nbytes
        with using(PLAIN):
            prepared = prepare(model, "cpu")
        assert prepared_bytes(model) == model.nbytes + extra + ends
        assert prepared.nbytes == prepared_bytes(model)
        assert prepared.precision.nbytes == model.nbytes + extra
        with using(SUMS):
            other = prepare(model, "cpu")
        both = prepared_bytes(model)
        assert both == model.nbytes + extra + 2 * ends + (other.nbytes - ends) * (extra > 0)


@pytest.mark.parametrize(
    "filter_",
    [
        Separable(SHAPE, torch.eye(6), torch.eye(5)),  # sums of rows
        Separable(SHAPE, torch.rand(6, 6), torch.rand(5, 5)),
        PixelMasks(SHAPE, binary(9, 6, 5)),
        Dense(SHAPE, binary(9, DIMENSIONS)),
    ],
)
@pytest.mark.parametrize("path", ["float32", "subset-sums", "bfloat16x3"])
def test_every_tensor_of_a_map_is_counted(filter_: Filter, path: str) -> None:
    """Against what a walk over all objects that can be reached from the map finds."""
    with using(EngineSettings(arithmetic=Arithmetic(1, 1, forced=path))):
        linear = prepare(FPMC(filter_, filter_), "cpu").precision
    found, rest = {}, [*vars(linear).values()]
    while rest:
        value = rest.pop()
        if isinstance(value, torch.Tensor):
            found[value.untyped_storage().data_ptr()] = value.untyped_storage().nbytes()
        elif isinstance(value, list | tuple):
            rest += value
        elif hasattr(value, "__dict__"):
            rest += vars(value).values()
    assert linear.nbytes == sum(found.values()) > 0


def model_of(nbytes: int = MODEL_BYTES) -> FPMC:
    matrix = torch.ones(nbytes // DIMENSIONS // 4 + 1, DIMENSIONS)
    dense = Dense(SHAPE, matrix.flatten()[: nbytes // 4 // DIMENSIONS * DIMENSIONS].view(-1, 60))
    return FPMC(dense, dense)


class Maker:
    """Counts what it makes, and how much of that is still there when the next is made."""

    def __init__(self, keeper: KeptModels) -> None:
        self.keeper, self.made = keeper, Counter[float]()
        self.most_bytes = 0
        self._alive: list[weakref.ref[FPMC]] = []

    def get(self, sigma: float) -> FPMC:
        return self.keeper.get(sigma, lambda: self._make(sigma))

    @property
    def alive_bytes(self) -> int:
        return sum(prepared_bytes(model) for ref in self._alive if (model := ref()) is not None)

    def _make(self, sigma: float) -> FPMC:
        self.most_bytes = max(self.most_bytes, self.alive_bytes)
        self.made[sigma] += 1
        model = model_of()
        self._alive.append(weakref.ref(model))
        return model


@pytest.mark.parametrize("room", [0, 1, 3, 5, 6])
def test_passing_through_all_levels_makes_anew_only_what_there_is_no_room_for(room: int) -> None:
    size = model_of().nbytes
    maker = Maker(KeptModels(room * size))
    for _ in range(4):
        for sigma in range(6):
            model = maker.get(sigma)
            assert maker.get(sigma) is model, "a second call at one level finds the first's"
            del model
    # one more is the last, which stays: five that fit and that are all six
    again = 0 if room >= 5 else 3
    assert [maker.made[sigma] for sigma in range(6)] == room * [1] + (6 - room) * [1 + again]
    assert maker.most_bytes <= room * size


def test_a_sampler_makes_each_level_once_however_little_room_there_is() -> None:
    """Heun's calls: at a level, at the next, there again, and at the one after that."""
    maker = Maker(KeptModels(0))
    for sigma, following in pairwise(range(8)):
        maker.get(sigma)
        maker.get(following)
    assert set(maker.made.values()) == {1}


def test_what_is_prepared_after_it_was_handed_out_counts() -> None:
    with using(PLAIN):
        lone = model_of()
        prepare(lone, "cpu")
        size = prepared_bytes(lone)
        maker = Maker(KeptModels(2 * size))
        assert lone.nbytes < size
        for _ in range(3):
            for sigma in range(4):
                prepare(maker.get(sigma), "cpu")
                assert maker.alive_bytes <= 3 * size
    assert dict(maker.made) == {0: 1, 1: 1, 2: 3, 3: 3}
    assert maker.most_bytes <= 2 * size


def test_models_that_grow_later_make_room_at_the_next_call() -> None:
    maker = Maker(KeptModels(3 * model_of().nbytes))
    models = [maker.get(sigma) for sigma in range(3)]
    maker.get(0)
    assert maker.alive_bytes == 3 * model_of().nbytes
    with using(PLAIN):
        for model in models:
            prepare(model, "cpu")
    del model, models
    assert maker.alive_bytes > maker.keeper.budget_bytes
    for sigma in (0, 2, 0):
        maker.get(sigma)
    assert sum(maker.made.values()) == 3, "the first fits, and the last stays"
    maker.get(1)
    assert maker.made[1] == 2
    assert maker.most_bytes <= maker.keeper.budget_bytes


def test_one_that_fits_beside_the_first_stays_though_one_between_does_not() -> None:
    small = model_of().nbytes
    keeper, made = KeptModels(3 * small), Counter[float]()

    def get(sigma: float) -> FPMC:
        def make() -> FPMC:
            made[sigma] += 1
            return model_of(4 * MODEL_BYTES if sigma == 1 else MODEL_BYTES)

        return keeper.get(sigma, make)

    for _ in range(3):
        for sigma in (0, 1, 2):
            get(sigma)
    assert dict(made) == {0: 1, 1: 2, 2: 1}, "the second time it is the last that doesn't fit"


def test_models_that_share_their_tensors_count_once() -> None:
    shared = model_of().precision
    keeper, made = KeptModels(shared.nbytes), Counter[str]()

    def make() -> FPMC:
        made["models"] += 1
        return FPMC(shared, shared)

    for sigma in [*range(5), *range(5)]:
        keeper.get(sigma, make)
    assert made["models"] == 5


def test_what_fails_to_be_made_is_not_kept() -> None:
    keeper = KeptModels(2**20)

    def fails() -> FPMC:
        raise ValueError("no such thing")

    with pytest.raises(ValueError, match="no such thing"):
        keeper.get(1.0, fails)
    model = model_of()
    assert keeper.get(1.0, lambda: model) is model
