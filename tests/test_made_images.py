"""Images that are made once: shared between processes, extended, never made twice."""

import multiprocessing
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from damage import DAMAGES, emptied, full_disk, swapped
from torch import Tensor

from fpmc_bench.errors import DiskError
from fpmc_bench.images.made import made_images
from fpmc_bench.storage.mapped import read_seal


@pytest.fixture(autouse=True)
def _own_cache(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("FPMC_BENCH_CACHE", str(tmp_path))


class Maker:
    """Row k is an image full of k; remembers what it was asked for."""

    def __init__(self, seconds: float = 0) -> None:
        self.asked: list[int] = []
        self.seconds = seconds

    def __call__(self, rows: range) -> Tensor:
        self.asked += rows
        time.sleep(self.seconds)
        return torch.tensor(list(rows), dtype=torch.uint8)[:, None, None, None].expand(-1, 1, 2, 2)


def made(images: int, make: Callable[[range], Tensor], key: str = "a") -> list[int]:
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
    (path,) = tmp_path.rglob("*.npy")
    assert read_seal(path) == {"kind": "test", "key": "a"}, "it says what it is of"
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


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_file_is_said_and_made_again(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, damage: Callable[[Path], None]
) -> None:
    make = Maker()
    made(10, make)
    (whole,) = tmp_path.rglob("*.npy")
    damage(whole)
    assert made(10, make) == made(10, make) == list(range(10))
    assert len(make.asked) == 20
    (line,) = caplog.messages
    assert str(whole) in line
    damage(whole)
    assert made(12, make) == list(range(12)), "also where more are wanted"


def test_damaged_and_swapped_blocks_are_made_again(tmp_path: Path) -> None:
    make = Maker()

    def fails(rows: range) -> Tensor:
        if len(make.asked) == 12:
            raise RuntimeError("out of ideas")
        return make(rows)

    with pytest.raises(RuntimeError, match="out of ideas"):
        made_images("test", {"key": "a"}, 16, fails, block_images=4)
    first, second, third = tmp_path.rglob("*.npy")
    swapped(first, second)
    emptied(third)
    assert made(16, make) == list(range(16))
    assert len(make.asked) == 12 + 16


def test_files_that_were_swapped_are_made_again(tmp_path: Path) -> None:
    make = Maker()
    made(3, make, key="a")
    made(5, make, key="b")
    swapped(*tmp_path.rglob("*.npy"))
    assert made(3, make, key="a") == [0, 1, 2]
    assert len(make.asked) == 11


def test_a_full_disk_is_one_error_and_leaves_no_partial_file(tmp_path: Path) -> None:
    def make(rows: range) -> Tensor:
        return torch.ones(len(rows), 1, 64, 64)

    with full_disk(10_000), pytest.raises(DiskError, match=r"\.npy can't be written"):
        made_images("test", {"key": "a"}, 4, make, block_images=4)
    assert list(tmp_path.rglob("*.npy")) == []
    assert bool((made_images("test", {"key": "a"}, 4, make, block_images=4) == 1).all())


COUNTS = {"alike": (40, 40, 40), "fewer and more": (40, 4, 8)}
"""Images that three processes want, of each key."""


def _in_process(
    number: int,
    together: "multiprocessing.synchronize.Barrier",
    out: "multiprocessing.Queue[tuple[str, list[int], list[int]]]",
) -> None:
    for key, counts in COUNTS.items():
        make = Maker(seconds=0.05)
        together.wait(timeout=60)
        out.put((key, made(counts[number], make, key), make.asked))


def test_processes_share_the_blocks() -> None:
    context = multiprocessing.get_context("spawn")
    queue, together = context.Queue(), context.Barrier(3)
    workers = [context.Process(target=_in_process, args=(n, together, queue)) for n in range(3)]
    for worker in workers:
        worker.start()
    results = [queue.get(timeout=60) for _ in range(6)]
    for worker in workers:
        worker.join()
    for key, counts in COUNTS.items():
        found = sorted((rows for own, rows, _ in results if own == key), key=len)
        assert found == [list(range(count)) for count in sorted(counts)]
        asked = sorted(row for own, _, rows in results if own == key for row in rows)
        assert asked == list(range(40)), "no row was made by two of them"


def test_others_may_join_fewer_than_are_wanted(tmp_path: Path) -> None:
    """While this process makes its last block, another one joins the first to a whole."""
    make = Maker()

    def interrupted(rows: range) -> Tensor:
        if rows.start == 4 and not joined:
            joined.append(True)
            made(4, Maker())
        return make(rows)

    joined: list[bool] = []
    assert made(12, interrupted) == list(range(12))
    assert joined
    assert sorted(make.asked)[-8:] == list(range(4, 12))
