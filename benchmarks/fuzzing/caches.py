"""What is kept to be had again: whatever becomes of it, the right thing is read or made anew."""

from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from fpmc_bench.images.made import made_images
from fpmc_bench.images.store import stored_images
from fpmc_bench.storage.cache import ENVIRONMENT_VARIABLE, cached_tensors
from fpmc_bench.storage.inventory import inventory
from fpmc_bench.storage.notes import keep_note, kept_note
from fuzzing.places import variable
from fuzzing.trials import Loader


def produce(path: Path) -> tuple[int, ...]:
    np.save(path, np.zeros((2, 1, 4, 4), np.uint8))
    return (1, 2)


def write_store(folder: Path) -> list[Path]:
    read_store(folder / "images" / "any")
    return kept_files(folder / "images")


def kept_files(folder: Path) -> list[Path]:
    return [path for path in sorted(folder.iterdir()) if path.suffix != ".lock"]


def read_store(path: Path) -> Any:
    """Whatever became of the file: the right images, made anew if need be. So with the next two."""
    with variable(ENVIRONMENT_VARIABLE, path.parent.parent):
        found = stored_images("0" * 64, produce)
        assert found.codes.shape == (2, 1, 4, 4)
        assert found.codes.sum() == 0
        assert found.labels == (1, 2)
        return found


def write_made(folder: Path) -> list[Path]:
    read_made(folder / "made" / "any")
    return kept_files(folder / "made")


def read_made(path: Path) -> Any:
    with variable(ENVIRONMENT_VARIABLE, path.parent.parent):
        made = made_images("made", {"of": "zeros"}, 4, zeros, block_images=2)
        assert made.shape == (4, 1, 4, 4)
        assert made.sum() == 0
        return made


def zeros(rows: range) -> Tensor:
    return torch.zeros(len(rows), 1, 4, 4)


def write_cached(folder: Path) -> list[Path]:
    read_cached(folder / "fitted" / "any")
    return kept_files(folder / "fitted")


def read_cached(path: Path) -> Any:
    with variable(ENVIRONMENT_VARIABLE, path.parent.parent):
        found = cached_tensors("fitted", {"of": "ones"}, lambda: {"a": torch.ones(5)})
        assert torch.equal(found["a"], torch.ones(5))
        return found


def write_note(folder: Path) -> list[Path]:
    path = folder / "notes" / f"{'0' * 32}.json"
    keep_note(path, ["what", 1.5], {"of": {"rows": 3}})
    return [path]


def read_note(path: Path) -> Any:
    """As it was, or nothing; so is what a listing of the cache makes of it."""
    found = kept_note(path)
    assert found in (["what", 1.5], None)
    (thing,) = inventory(path.parent.parent).things
    assert bool(thing.faults()) == (found is None)
    return thing.card()


def read_listing(path: Path) -> Any:
    """What `cache list` and `cache explain` say of all there is, whatever became of a file."""
    things = inventory(path.parent.parent).things
    for thing in things:
        thing.card()
        if not thing.faults():
            assert [file.holds() for file in thing.content]
    return things


LOADERS = (
    Loader("kept notes", write_note, read_note),
    Loader("listed images", write_made, read_listing),
    Loader("listed tensors", write_cached, read_listing),
    Loader("decoded images", write_store, read_store),
    Loader("made images", write_made, read_made),
    Loader("cached tensors", write_cached, read_cached),
)
