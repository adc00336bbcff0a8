"""Images that are made once: shared between processes, extended, never made twice."""

import multiprocessing
from pathlib import Path

import pytest
import torch
from torch import Tensor

from fpmc_bench.images.made import made_images


@pytest.fixture(autouse=True)
def _own_cache(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("FPMC_BENCH_CACHE", str(tmp_path))


class Maker:
    """Row k is an image full of k; remembers what it was asked for."""

    def __init__(self) -> None:
        self.asked: list[int] = []

    def __call__(self, rows: range) -> Tensor:
        self.asked += rows
        return torch.tensor(list(rows), dtype=torch.uint8)[:, None, None, None].expand(-1, 1, 2, 2)


def made(images: int, make: Maker, key: str = "a") -> list[int]:
    found = made_images("test", {"key": key}, images, make, block_images=4)
    assert found.shape == (images, 1, 2, 2)
    return found[:, 0, 1, 1].tolist()


def test_every_row_is_made_once_and_found_again(tmp_path: Path) -> None:
    make = Maker()
    assert made(10, make) == list(range(10))
    assert sorted(make.asked) == list(range(10))
    assert made(10, make) == made(10, make) == list(range(10))
    assert len(make.asked) == 10
    assert len(list(tmp_path.rglob("*.npy"))) == 1, "blocks are joined"
    made(10, make, key="b")
    assert len(make.asked) == 20, "another key is another set"


def test_more_rows_go_on_from_fewer() -> None:
    make = Maker()
    assert made(3, make) == [0, 1, 2]
    assert made(9, make) == list(range(9))
    assert sorted(make.asked) == list(range(9))
    assert made(5, make) == list(range(5))
    assert len(make.asked) == 9


def test_what_was_mapped_stays_as_it_was_when_more_come() -> None:
    make = Maker()
    first = made_images("test", {"key": "a"}, 3, make, block_images=4)
    made(9, make)
    assert first[:, 0, 0, 0].tolist() == [0, 1, 2]
    first[0] = 7
    assert made(3, make) == [0, 1, 2], "writing changes only this process's copy"


def test_finished_blocks_survive_a_failure() -> None:
    make = Maker()

    def fails(rows: range) -> Tensor:
        if 5 in rows:
            raise RuntimeError("out of ideas")
        return make(rows)

    with pytest.raises(RuntimeError, match="out of ideas"):
        made_images("test", {"key": "a"}, 10, fails, block_images=4)
    before = list(make.asked)
    assert made(10, make) == list(range(10))
    assert sorted(make.asked) == list(range(10)), "none of those before was made again"
    assert set(before) <= set(range(10))


def _in_process(counts: "multiprocessing.Queue[tuple[list[int], list[int]]]") -> None:
    make = Maker()
    counts.put((made(40, make), make.asked))


def test_processes_share_the_blocks() -> None:
    context = multiprocessing.get_context("spawn")
    counts = context.Queue()
    workers = [context.Process(target=_in_process, args=(counts,)) for _ in range(3)]
    for worker in workers:
        worker.start()
    results = [counts.get(timeout=60) for _ in workers]
    for worker in workers:
        worker.join()
    assert all(found == list(range(40)) for found, _ in results)
    asked = sorted(row for _, rows in results for row in rows)
    assert asked == list(range(40)), "no row was made by two of them"
