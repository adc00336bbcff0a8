"""Files of arrays: what is written is what is read; damage is one error, and nothing is run."""

import io
import pickle
import random
import tracemalloc
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fpmc_bench.errors import RunError
from fpmc_bench.storage.arrays import OVERHEAD_BYTES, read_arrays, write_arrays

MOST = 10_000
ARRAYS: dict[str, np.ndarray] = {
    "mse@1": np.random.default_rng(0).normal(size=(7, 3)),
    "order": np.array('["a", "b"]'),
    "codes": np.arange(12, dtype=np.uint8).reshape(3, 4).T,
    "nothing": np.empty((0, 5)),
}


@pytest.mark.parametrize("compressed", [False, True])
def test_a_file_is_numpy_s_own_byte_for_byte(compressed: bool, tmp_path: Path) -> None:
    path, buffer = tmp_path / "below" / "a.npz", io.BytesIO()
    write_arrays(path, ARRAYS, compressed=compressed)
    (np.savez_compressed if compressed else np.savez)(buffer, **ARRAYS)  # type: ignore[arg-type]
    assert path.read_bytes() == buffer.getvalue()
    assert [one.name for one in path.parent.iterdir()] == ["a.npz"]
    found = read_arrays(path, MOST)
    assert list(found) == list(ARRAYS)
    for name, array in ARRAYS.items():
        assert found[name].dtype == array.dtype
        assert np.array_equal(found[name], array)


@pytest.mark.parametrize("name", ["file", "allow_pickle", "self", "a/b", "a.npy"])
def test_any_name_will_do(name: str, tmp_path: Path) -> None:
    write_arrays(tmp_path / "a.npz", {name: np.ones(3)})
    assert list(read_arrays(tmp_path / "a.npz", MOST)) == [name]


def test_objects_are_not_written(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="Object arrays cannot be saved"):
        write_arrays(tmp_path / "a.npz", {"a": np.array([1, "b"], object)})
    assert not (tmp_path / "a.npz").exists()


def member(header: str, content: bytes = b"") -> bytes:
    """A .npy with this text as its header."""
    text = header.encode()
    return b"\x93NUMPY\x01\x00" + len(text).to_bytes(2, "little") + text + content


class Trap:
    def __reduce__(self) -> Any:
        return pytest.fail, ("it was run",)


CONTENTS = {
    "pickle": pickle.dumps(Trap()),
    "objects": member(
        "{'descr': '|O', 'fortran_order': False, 'shape': (1,)}", pickle.dumps([Trap()])
    ),
    "petabyte": member("{'descr': '<f8', 'fortran_order': False, 'shape': (1000000000000000,)}"),
    "negative": member("{'descr': '<f8', 'fortran_order': False, 'shape': (-1,)}"),
    "nested": member("(" * 9000),
    "empty text": member("{'descr': '<U0', 'fortran_order': False, 'shape': (10000000000000,)}"),
    "more than there is": member(
        "{'descr': '<f8', 'fortran_order': False, 'shape': (3,)}", bytes(16)
    ),
    "less than there is": member(
        "{'descr': '<f8', 'fortran_order': False, 'shape': (1,)}", bytes(16)
    ),
    "fields": member("{'descr': [('a', '<f8')], 'fortran_order': False, 'shape': (1,)}", bytes(8)),
    "code": member("__import__('os').abort()"),
    "no array": b"text",
}


@pytest.mark.parametrize("case", CONTENTS)
def test_hostile_members_are_refused(case: str, tmp_path: Path) -> None:
    path = tmp_path / "a.npz"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("a.npy", CONTENTS[case])
    with pytest.raises(RunError, match=r"a\.npz can't be read") as caught:
        read_arrays(path, MOST)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "content", [None, b"", b"PK\x03\x04 cut", pickle.dumps(Trap()), b"\x93NUMPY"]
)
def test_other_files_are_refused(content: bytes | None, tmp_path: Path) -> None:
    if content is not None:
        (tmp_path / "a.npz").write_bytes(content)
    with pytest.raises(RunError, match=r"a\.npz can't be read"):
        read_arrays(tmp_path / "a.npz", MOST)


def peak_bytes(path: Path, at_most: int) -> int:
    """Of memory, until the file is refused."""
    tracemalloc.start()
    with pytest.raises(RunError, match=r"a\.npz") as caught:
        read_arrays(path, at_most)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert "\n" not in str(caught.value)
    return peak


def test_a_file_that_expands_to_more_than_it_may_is_refused_unread(tmp_path: Path) -> None:
    path = tmp_path / "a.npz"
    write_arrays(path, {"a": np.zeros(10**6), "b": np.zeros(10**6)}, compressed=True)
    assert path.stat().st_size < 20_000
    assert peak_bytes(path, 14 * 10**6) < 10**6
    with pytest.raises(RunError, match=r"a\.npz would take 16000256 bytes, and 14000000 is the"):
        read_arrays(path, 14 * 10**6)
    assert sum(array.nbytes for array in read_arrays(path, 16 * 10**6).values()) == 16 * 10**6
    path.write_bytes(bytes(MOST + OVERHEAD_BYTES + 1))
    assert peak_bytes(path, MOST) < 10**5


@pytest.mark.parametrize("method", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_a_packing_that_python_unpacks_at_once_is_refused(method: int, tmp_path: Path) -> None:
    """Of which a few hundred bytes are twenty million, whatever size the zip states."""
    path = tmp_path / "a.npz"
    with zipfile.ZipFile(path, "w", method) as archive:
        archive.writestr("a.npy", CONTENTS["less than there is"] + bytes(2 * 10**7))
    content = bytearray(path.read_bytes())
    at = content.rfind(b"PK\x01\x02")
    content[at + 24 : at + 28] = (1000).to_bytes(4, "little")
    path.write_bytes(content)
    assert peak_bytes(path, MOST) < 10**6


def test_no_more_is_unpacked_than_a_member_states(tmp_path: Path) -> None:
    path = tmp_path / "a.npz"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a.npy", CONTENTS["less than there is"] + bytes(2 * 10**7))
    content = bytearray(path.read_bytes())
    at = content.rfind(b"PK\x01\x02")
    size = len(CONTENTS["less than there is"]) - 8  # what its header says
    content[at + 24 : at + 28] = size.to_bytes(4, "little")
    path.write_bytes(content)
    assert peak_bytes(path, MOST) < 10**6


def test_two_arrays_of_one_name_are_refused(tmp_path: Path) -> None:
    write_arrays(tmp_path / "a.npz", {"a": np.ones(3), "b": np.ones(4)})
    path = tmp_path / "a.npz"
    path.write_bytes(path.read_bytes().replace(b"b.npy", b"a.npy"))
    with pytest.raises(RunError, match="two arrays of one name"):
        read_arrays(path, MOST)


def test_damage_is_refused_or_read_but_never_another_error(tmp_path: Path) -> None:
    path, draw = tmp_path / "a.npz", random.Random(0)
    for compressed in (False, True):
        write_arrays(path, ARRAYS, compressed=compressed)
        whole = path.read_bytes()
        for _ in range(150):
            damaged = bytearray(whole)
            for _ in range(draw.choice([1, 3, 30])):
                damaged[draw.randrange(len(whole))] = draw.randrange(256)
            path.write_bytes(damaged[: draw.choice([len(whole), draw.randrange(len(whole))])])
            try:
                read_arrays(path, MOST)
            except RunError as error:
                assert str(path) in str(error)  # noqa: PT017  # most, not all, are refused
