"""Where a source lies: on a GPU that has room for it twice over, once; else where it was."""

import weakref
from typing import Any

import pytest
import torch

from fpmc_bench import Source
from fpmc_bench.engine.machine.placement import placed
from fpmc_bench.fpmc.union import Union

GPU = torch.device("cuda", 0)


def source() -> Source:
    return Source(torch.zeros(10, 3, 4, 4, dtype=torch.uint8))


@pytest.fixture
def free(monkeypatch: pytest.MonkeyPatch) -> dict[str, int]:
    """What a GPU that is not there says of its memory, and how many images were sent to it."""
    state = {"bytes": 0, "reserved": 0, "allocated": 0, "sent": 0}

    class There(Source):
        device = GPU

    def mapped(self: Source, change: Any) -> Source:
        state["sent"] += len(self)
        return There(self.images, self.log_weights)

    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda _: (state["bytes"], 2**40))
    monkeypatch.setattr(torch.cuda, "memory_reserved", lambda _: state["reserved"])
    monkeypatch.setattr(torch.cuda, "memory_allocated", lambda _: state["allocated"])
    monkeypatch.setattr(Source, "mapped", mapped)
    return state


def test_a_source_that_would_fill_a_gpu_stays_where_it_is(
    free: dict[str, int], caplog: pytest.LogCaptureFixture
) -> None:
    large = source()
    free["bytes"] = 2 * large.nbytes - 1
    assert placed(large, GPU) is large
    free["bytes"] = 2**30
    assert placed(large, GPU) is large, "found out once, not in the middle of a run"
    assert free["sent"] == 0
    assert caplog.text.count("10 source images stay off cuda:0") == 1


def test_a_source_that_fits_twice_is_sent_once(free: dict[str, int]) -> None:
    fitting = source()
    free["bytes"] = 2 * fitting.nbytes
    there = placed(fitting, GPU)
    assert there is not fitting
    free["bytes"] = 0
    assert placed(fitting, GPU) is there
    assert free["sent"] == 10
    assert placed(source(), GPU) is not there


def test_what_torch_holds_unused_is_free(free: dict[str, int]) -> None:
    """After a large evaluation the driver has little, and torch what was used for it."""
    fitting = source()
    free.update(bytes=fitting.nbytes, reserved=3 * fitting.nbytes, allocated=2 * fitting.nbytes)
    assert placed(fitting, GPU) is not fitting


def test_unions_share_what_they_are_made_from(free: dict[str, int]) -> None:
    free["bytes"] = 2**30
    original, made = source(), [source(), source()]
    unions = [Union([original, one]) for one in made]
    there = [placed(union, GPU) for union in unions]
    assert all(isinstance(one, Union) and one.device == GPU for one in there)
    assert there[0].parts[0] is there[1].parts[0] is placed(original, GPU)
    assert free["sent"] == 30
    assert all(a.original is b.original for a, b in zip(there, unions, strict=True))
    free["bytes"] = 2 * made[0].nbytes
    another = Union([original, source()])
    assert placed(another, GPU) is not another, "it is what is not there that needs room"


def test_a_union_with_a_part_that_had_no_room_stays_in_one_place(free: dict[str, int]) -> None:
    original = source()
    assert placed(original, GPU) is original
    free["bytes"] = 2**30
    union = Union([original, source()])
    assert placed(union, GPU) is union


def test_what_is_there_goes_with_the_source(free: dict[str, int]) -> None:
    free["bytes"] = 2**30
    union = Union([source(), source()])
    gone = weakref.ref(placed(union, GPU))
    del union
    assert gone() is None


def test_on_a_processor_nothing_is_moved(free: dict[str, int]) -> None:
    here = source()
    assert placed(here, torch.device("cpu")) is here
