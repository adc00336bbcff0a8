"""Writes: on the disk before their name is, whole or not at all, and one error otherwise."""

import errno
import os
from pathlib import Path

import pytest
from damage import full_disk

from fpmc_bench.errors import DiskError, UsageError
from fpmc_bench.storage.atomic import atomic_path, write_atomically
from fpmc_bench.storage.folders import make_folder, refuse_unwritable


def test_the_content_is_on_the_disk_before_the_name_and_then_the_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    steps: list[str] = []

    def fsync(descriptor: int) -> None:
        is_folder = os.path.samestat(os.fstat(descriptor), tmp_path.stat())
        steps.append("folder" if is_folder else os.pread(descriptor, 99, 0).decode())

    replace = Path.replace

    def renamed(self: Path, target: Path) -> Path:
        steps.append("renamed")
        return replace(self, target)

    monkeypatch.setattr(os, "fsync", fsync)
    monkeypatch.setattr(Path, "replace", renamed)
    write_atomically(tmp_path / "a", b"content")
    assert steps == ["content", "renamed", "folder"]


def test_a_full_disk_is_one_error_and_leaves_what_was_there(tmp_path: Path) -> None:
    path = tmp_path / "a"
    write_atomically(path, b"before")
    with full_disk(1000), pytest.raises(DiskError, match=r"/a can't be written \(.+\), and"):
        write_atomically(path, bytes(2000))
    assert path.read_bytes() == b"before"
    assert [one.name for one in tmp_path.iterdir()] == ["a"]


def test_a_folder_that_is_none(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(DiskError, match="file/inside/a can't be written"):
        write_atomically(tmp_path / "file/inside/a", b"")
    for work in (refuse_unwritable, make_folder):
        with pytest.raises(UsageError, match=r"can't write into .*/inside: .*by --some"):
            work(tmp_path / "file/inside", "--somewhere")
    with full_disk(1000), pytest.raises(UsageError, match=r"can't write into .*/new: .*make room"):
        refuse_unwritable(tmp_path / "new", "--somewhere")
    refuse_unwritable(tmp_path / "new/below", "--somewhere")
    assert [one.name for one in tmp_path.iterdir()] == ["file"], "trying leaves nothing"


@pytest.mark.parametrize(
    "error", [OSError("cut short"), FileNotFoundError(errno.ENOENT, "none", "/elsewhere")]
)
def test_what_goes_wrong_elsewhere_is_not_the_disk_s_fault(tmp_path: Path, error: OSError) -> None:
    def write() -> None:
        with atomic_path(tmp_path / "a") as partial:
            partial.write_text("half")
            raise error

    with pytest.raises(type(error)) as caught:
        write()
    assert caught.value is error
    assert list(tmp_path.iterdir()) == []
