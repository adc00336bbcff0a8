"""Kept tensors: read where they are what their name says, else said and made anew."""

import os
import shutil
from pathlib import Path

import pytest
import torch
from damage import DAMAGES, full_disk, swapped, turned
from plans import small_suite
from safetensors.torch import load_file, save_file

from fpmc_bench import cached_tensors, file_fingerprint
from fpmc_bench.catalog.context import load_context
from fpmc_bench.catalog.installed import installed_registry
from fpmc_bench.errors import CheckpointError, DiskError
from fpmc_bench.storage.kept import keep_tensors, kept_tensors
from fpmc_bench.storage.names import known_names
from fpmc_bench.storage.notes import read_note
from fpmc_bench.storage.tensors import load_tensors, save_tensors

MAPS = {
    "map": torch.linspace(0, 1, 5000),
    "counts": torch.tensor(3),
    "mask": torch.ones(2, 0).bool(),
    "half": torch.ones(3).bfloat16(),
}


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("FPMC_BENCH_CACHE", str(tmp_path))
    return tmp_path


def fitted(number: int, made: list[int]) -> torch.Tensor:
    def compute() -> dict[str, torch.Tensor]:
        made.append(number)
        return {**MAPS, "number": torch.tensor(number)}

    found = cached_tensors("fitted", {"number": number}, compute)
    assert int(found["number"]) == number
    assert all(torch.equal(found[name], MAPS[name]) for name in MAPS)
    return found["map"]


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_entry_of_the_cache_is_said_and_computed_anew(
    cache: Path, caplog: pytest.LogCaptureFixture, damage: object
) -> None:
    made: list[int] = []
    fitted(1, made)
    fitted(1, made)
    (path,) = cache.rglob("*.safetensors")
    assert (made, caplog.messages) == ([1], [])
    assert callable(damage)
    damage(path)  # turned: the exponent of a value of the map
    fitted(1, made)
    fitted(1, made)
    assert made == [1, 1]
    (line,) = caplog.messages
    assert str(path) in line
    assert "made anew" in line


def test_what_is_wanted_is_noted_on_its_file(cache: Path) -> None:
    made: list[int] = []
    (cache / "images.zip").write_bytes(b"images")
    key = file_fingerprint(cache / "images.zip")
    fitted(1, made)
    files = [*cache.rglob("*.safetensors"), *cache.rglob("*.json")]
    for path in files:
        os.utime(path, (1_000, 2_000))
    fitted(1, made)
    assert file_fingerprint(cache / "images.zip") == key
    for path in files:
        assert path.stat().st_atime > 1_000_000
        assert path.stat().st_mtime == 2_000
    assert made == [1]
    assert len(files) == 2


def test_what_loaded_images_and_networks_are_called_is_kept_beside(cache: Path) -> None:
    load_context(small_suite(), installed_registry(), "cpu")
    found = {read_note(path)[0] for path in (cache / "names").iterdir()}
    expected = {"training images of digits", "test images of digits"}
    assert found == {*expected, "digits-ddpmpp", "digits-ncsnpp"}
    before = {path: path.stat().st_mtime_ns for path in cache.rglob("*.json")}
    load_context(small_suite(), installed_registry(), "cpu")
    assert before == {path: path.stat().st_mtime_ns for path in cache.rglob("*.json")}
    (one,) = [path for path in before if read_note(path)[0] == "digits-ddpmpp"]
    turned(one)
    assert len(known_names(cache)) == 3, "one that is damaged is nobody's name"


def test_a_turned_bit_would_else_be_a_plausible_value(tmp_path: Path) -> None:
    path = tmp_path / "a.safetensors"
    keep_tensors(path, MAPS, {})
    turned(path)
    assert bool(load_file(path)["map"].isfinite().all())
    assert not torch.equal(load_file(path)["map"], MAPS["map"])
    assert kept_tensors(path) is None


def test_entries_that_were_swapped_are_computed_anew(cache: Path) -> None:
    made: list[int] = []
    fitted(1, made)
    fitted(2, made)
    swapped(*cache.rglob("*.safetensors"))
    fitted(1, made)
    fitted(2, made)
    assert made == [1, 2, 1, 2]


def test_what_has_no_digest_is_no_kept_file(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "a.safetensors"
    save_file(MAPS, path, {"fpmc_bench": '{"name": "a.safetensors", "card": {}}'})
    whole = path.read_bytes()
    assert kept_tensors(path) is None
    assert kept_tensors(path) is None
    (line,) = caplog.messages
    assert line == f"{path} has no digest, as those of an earlier fpmc-bench; it is made anew"
    assert path.read_bytes() == whole, "nothing is lost before there is something in its place"


def test_a_file_of_the_user_s_may_have_none_and_any_name(tmp_path: Path) -> None:
    save_file(MAPS, tmp_path / "a.safetensors", {"fpmc_bench": '{"of": "earlier"}'})
    assert load_tensors(tmp_path / "a.safetensors")[1] == {"of": "earlier"}
    save_tensors(tmp_path / "b.safetensors", MAPS, {"mine": 1})
    shutil.copy(tmp_path / "b.safetensors", tmp_path / "c.safetensors")
    assert load_tensors(tmp_path / "c.safetensors")[1] == {"mine": 1}
    save_tensors(tmp_path / "c.safetensors", MAPS, {"mine": 1})
    assert (tmp_path / "c.safetensors").read_bytes() == (tmp_path / "b.safetensors").read_bytes()
    turned(tmp_path / "c.safetensors")
    with pytest.raises(CheckpointError, match=r"c\.safetensors is damaged: its content is not"):
        load_tensors(tmp_path / "c.safetensors")


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_note_of_a_known_file_is_not_believed(
    cache: Path, caplog: pytest.LogCaptureFixture, damage: object
) -> None:
    (cache / "images.zip").write_bytes(b"images")
    key = file_fingerprint(cache / "images.zip")
    (note,) = (cache / "images/known").iterdir()
    assert callable(damage)
    damage(note)
    assert file_fingerprint(cache / "images.zip") == key
    assert str(note) in caplog.text
    assert file_fingerprint(cache / "images.zip") == key
    assert len(caplog.messages) == 1


def test_a_cache_whose_disk_fills_up_meanwhile_is_the_disk_s_fault(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And so ends a run in a line, where wrong usage inside a row would fail that row."""
    monkeypatch.setenv("FPMC_BENCH_CACHE", str(tmp_path))
    with full_disk(1000), pytest.raises(DiskError, match="FPMC_BENCH_CACHE"):
        cached_tensors("test", {"key": 1}, lambda: {"a": torch.zeros(1)})
