"""Where a source lies: on a GPU that has room for it twice over, once; else where it was."""

from typing import Any

import pytest
import torch

from fpmc_bench import Source
from fpmc_bench.engine.machine.placement import placed

GPU = torch.device("cuda", 0)


def source() -> Source:
    return Source(torch.zeros(10, 3, 4, 4, dtype=torch.uint8))


@pytest.fixture
def free(monkeypatch: pytest.MonkeyPatch) -> dict[str, int]:
    """What a GPU that is not there says it has free, and how often a source was sent to it."""
    state = {"bytes": 0, "sent": 0}

    def mapped(self: Source, change: Any) -> Source:
        state["sent"] += 1
        return Source(self.images)

    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda _: (state["bytes"], 2**40))
    monkeypatch.setattr(Source, "mapped", mapped)
    return state


def test_a_source_that_would_fill_a_gpu_stays_where_it_is(free: dict[str, int]) -> None:
    large = source()
    free["bytes"] = 2 * large.nbytes - 1
    assert placed(large, GPU) is large
    assert free["sent"] == 0


def test_a_source_that_fits_twice_is_sent_once(free: dict[str, int]) -> None:
    fitting = source()
    free["bytes"] = 2 * fitting.nbytes
    there = placed(fitting, GPU)
    assert there is not fitting
    free["bytes"] = 0
    assert placed(fitting, GPU) is there
    assert free["sent"] == 1
    assert placed(source(), GPU) is not there


def test_on_a_processor_nothing_is_moved(free: dict[str, int]) -> None:
    here = source()
    assert placed(here, torch.device("cpu")) is here
