"""Temporary names: nobody else's on any machine; forgotten files go, those of others stay."""

import os
import platform
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from damage import full_disk

from fpmc_bench import cached_tensors
from fpmc_bench.errors import DiskError
from fpmc_bench.results.site.output import write_folder
from fpmc_bench.storage.atomic import write_atomically
from fpmc_bench.storage.folders import locked
from fpmc_bench.storage.temporary import remove_forgotten, temporary_path, this_host

KILLED = """
import os, signal, sys
from pathlib import Path
from fpmc_bench.storage.atomic import atomic_path
with atomic_path(Path(sys.argv[1])) as partial:
    partial.write_text("half")
    os.kill(os.getpid(), signal.SIGKILL)
"""
DAY = 24 * 60 * 60


@pytest.fixture
def other_host(monkeypatch: pytest.MonkeyPatch) -> str:
    """The name of another machine than that whose files are looked at afterwards."""
    monkeypatch.setattr(platform, "node", lambda: "node-17")
    this_host.cache_clear()
    name = this_host()
    monkeypatch.undo()
    this_host.cache_clear()
    return name


def forgotten(path: Path) -> Path:
    """What a process of this machine leaves that is killed while it writes `path`."""
    before = set(path.parent.glob("*"))
    done = subprocess.run([sys.executable, "-c", KILLED, path], check=False)
    assert done.returncode == -signal.SIGKILL
    (left,) = set(path.parent.iterdir()) - before
    assert left.read_text() == "half"
    return left


def test_two_machines_with_one_process_id_never_write_into_each_other_s(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = set()
    for node in ("node-1", "node-2", "node-1"):
        monkeypatch.setattr(platform, "node", lambda node=node: node)
        this_host.cache_clear()
        names.add(temporary_path(tmp_path / "unit.npz"))
    monkeypatch.undo()
    this_host.cache_clear()
    assert len(names) == 3, "by the machine, and by chance even on one"
    assert all(f".{os.getpid()}." in path.name for path in names)


@pytest.mark.parametrize(
    "node", ["", "a/b", "..", "Mein Rechner", "\u6211.local", "x" * 300, "-\n"]
)
def test_a_machine_s_name_is_made_a_part_of_a_file_s(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, node: str
) -> None:
    monkeypatch.setattr(platform, "node", lambda: node)
    this_host.cache_clear()
    try:
        for name in ("a.json", "\u6211" * 80, "b" * 250):
            write_atomically(tmp_path / name, b"content")
            assert (tmp_path / name).read_bytes() == b"content"
            left = temporary_path(tmp_path / name, ".partial.npy")
            assert len(os.fsencode(left.name)) <= 255
            assert left.name.isascii() or name[0] == "\u6211"
            left.write_text("half")
            os.utime(left, (0, 0))
        remove_forgotten(tmp_path)
    finally:
        monkeypatch.undo()
        this_host.cache_clear()
    assert len(list(tmp_path.iterdir())) == 3, "each is known for what it is"


def test_what_killed_processes_left_goes_and_what_others_write_stays(
    tmp_path: Path, other_host: str
) -> None:
    gone = [forgotten(tmp_path / "a.npz"), forgotten(tmp_path / "ledger" / "b.npz")]
    folder = forgotten(tmp_path / "site")
    folder.unlink()
    (folder / "new").mkdir(parents=True)
    mine = temporary_path(tmp_path / "a.npz")
    others = [
        tmp_path / f".a.npz.{other_host}.{2**22 + 1}.0123abcd.partial",
        tmp_path / f".a.npz.{this_host()}.1.0123abcd.partial",
        tmp_path / ".a.npz.0123abcd.partial",
        tmp_path / ".notes",
        tmp_path / "archive.tar.gz.partial",
    ]
    for path in (mine, *others):
        path.write_text("half")
        os.utime(path, (time.time() - DAY + 60,) * 2)
    with locked(tmp_path, "run", "--run-dir"):
        assert not any(path.exists() for path in (*gone, folder))
        assert all(path.exists() for path in (mine, *others))


def test_what_another_machine_left_goes_after_a_day(tmp_path: Path, other_host: str) -> None:
    old = tmp_path / f".a.npz.{other_host}.1.0123abcd.partial.npy"
    kept = [tmp_path / ".a.npz.1.partial", tmp_path / "a.npz", tmp_path / ".a.npz.x.1.xyz.partial"]
    for path in (old, *kept):
        path.write_text("half")
        os.utime(path, (time.time() - DAY - 60,) * 2)
    remove_forgotten(tmp_path)
    assert sorted(tmp_path.iterdir()) == sorted(kept), "nothing else is ever removed"


def test_names_that_say_anything_do_no_harm(tmp_path: Path) -> None:
    host = this_host()
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "kept").write_text("whole")
    folder = tmp_path / "folder"
    folder.mkdir()
    (folder / f".a.{host}.{10**10 - 1}.0123abcd.partial").write_text("no process has this number")
    link = folder / f".b.{host}.{2**22 + 1}.0123abcd.partial"
    link.symlink_to(outside, target_is_directory=True)
    (folder / "c").symlink_to(outside, target_is_directory=True)
    (outside / f".d.{host}.{2**22 + 1}.0123abcd.partial").write_text("not below the folder")
    remove_forgotten(folder, deepest=3)
    assert [path.name for path in folder.iterdir()] == ["c"]
    assert len(list(outside.iterdir())) == 2, "links are not followed"
    remove_forgotten(tmp_path / "none")


def test_a_folder_of_the_cache_is_tidied_when_it_is_first_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FPMC_BENCH_CACHE", str(tmp_path))
    left = forgotten(tmp_path / "fitted" / "a.safetensors")
    looks = []
    scandir = os.scandir
    monkeypatch.setattr(os, "scandir", lambda path: looks.append(path) or scandir(path))
    for number in range(3):
        cached_tensors("fitted", {"number": number}, dict)
    assert not left.exists()
    assert looks == [tmp_path / "fitted"], "not for every file"


def test_a_site_that_could_not_be_written_leaves_nothing(tmp_path: Path) -> None:
    left = forgotten(tmp_path / "site")
    with full_disk(1000), pytest.raises(DiskError):
        write_folder(tmp_path / "site", {"a/b": bytes(2000)})
    write_folder(tmp_path / "site", {"a/b": b"1"})
    write_folder(tmp_path / "site", {"a/b": b"2"})
    assert [path.name for path in tmp_path.iterdir()] == ["site"], left
    assert (tmp_path / "site/a/b").read_bytes() == b"2"
