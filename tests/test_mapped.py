"""Mapped files: any turned bit is noticed, and their room is taken before they are written."""

import errno
import os
from pathlib import Path

import numpy as np
import pytest
from damage import full_disk

from fpmc_bench.errors import DiskError
from fpmc_bench.storage.atomic import atomic_path
from fpmc_bench.storage.mapped import read_seal, reserved_array, seal, sealed_array

VALUES = np.arange(24, dtype=np.uint8).reshape(2, 3, 4)
NOTE = [1, 0]


def sealed(path: Path) -> Path:
    array = reserved_array(path, np.uint8, VALUES.shape)
    array[:] = VALUES
    array.flush()
    seal(path, path.name, NOTE)
    return path


def test_what_is_sealed_is_what_is_mapped(tmp_path: Path) -> None:
    path = sealed(tmp_path / "a.npy")
    found = sealed_array(path)
    assert found is not None
    assert np.array_equal(found[0], VALUES)
    assert found[1] == NOTE
    assert np.array_equal(np.load(path), VALUES), "to numpy it is a file like others"
    assert sealed_array(tmp_path / "none.npy") is None


def test_what_it_was_made_from_is_read_without_the_array(tmp_path: Path) -> None:
    path = tmp_path / "a.npy"
    for card in ({"kind": "test", "rate": 0.5}, None):
        np.save(path, VALUES)
        seal(path, path.name, NOTE, card)
        assert read_seal(path) == card
        found = sealed_array(path)
        assert found is not None
        assert found[1] == NOTE
    with pytest.raises(ValueError, match=r"written as a\.npy"):
        read_seal(path.rename(tmp_path / "b.npy"))
    np.save(path, VALUES)
    with pytest.raises(ValueError, match="invalid literal"):
        read_seal(path)


def test_every_turned_bit_and_every_cut_is_noticed(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    whole = sealed(tmp_path / "a.npy").read_bytes()
    cases = [whole[:length] for length in range(len(whole))] + [whole + b"0"]
    for place in range(len(whole)):
        damaged = bytearray(whole)
        damaged[place] ^= 1 << place % 8
        cases.append(bytes(damaged))
    for number, content in enumerate(cases):
        path = tmp_path / str(number) / "a.npy"
        path.parent.mkdir()
        path.write_bytes(content)
        assert sealed_array(path) is None, number
        assert sealed_array(path) is None
    assert [record.args and str(record.args[0]) for record in caplog.records] == [
        str(tmp_path / str(number) / "a.npy") for number in range(len(cases))
    ], "each is said, once"


def test_a_file_in_another_s_place_is_said(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    sealed(tmp_path / "a.npy").rename(tmp_path / "b.npy")
    assert sealed_array(tmp_path / "b.npy") is None
    assert "it was written as a.npy" in caplog.text


def test_a_full_disk_is_an_error_before_anything_is_written(tmp_path: Path) -> None:
    """Without its room a page that is written to ends the process by SIGBUS."""
    path = tmp_path / "a.npy"
    with (
        full_disk(10_000),
        pytest.raises(DiskError, match="can't be written"),
        atomic_path(path) as partial,
    ):
        reserved_array(partial, np.uint8, (20_000,))
    assert list(tmp_path.iterdir()) == []
    array = reserved_array(path, np.uint8, (20_000,))
    assert path.stat().st_blocks * 512 >= 20_000, "not a hole"
    array[:] = 1


def test_a_disk_that_cannot_reserve_is_used_all_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(*_: int) -> None:
        raise OSError(errno.EOPNOTSUPP, "not supported")

    monkeypatch.setattr(os, "posix_fallocate", refused)
    assert sealed_array(sealed(tmp_path / "a.npy")) is not None
