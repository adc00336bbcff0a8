"""`fpmc-bench cache`: what is kept is named, explained and removed, and nothing else is touched."""

import io
import json
import os
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from damage import DAMAGES, swapped
from filelock import FileLock
from runs import fpmc_bench
from safetensors.torch import save_file

from fpmc_bench import cached_tensors, file_fingerprint, made_images, stored_images
from fpmc_bench.cli.cache_text import date_of, size_text
from fpmc_bench.storage.inventory import inventory
from fpmc_bench.storage.names import remember_names
from fpmc_bench.storage.temporary import temporary_path

DAY = 24 * 60 * 60
IMAGES, NETWORK = "a" * 64, "b" * 64
SIGMAS = (0.5, 80.0)


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Two fits, made images, decoded ones, what their file is known by, and two names."""
    folder = tmp_path / "cache"
    monkeypatch.setenv("FPMC_BENCH_CACHE", str(folder))
    (tmp_path / "lab.zip").write_bytes(b"images")
    for sigma in SIGMAS:
        key = {"source": IMAGES, "teacher": NETWORK, "sigma": sigma}
        cached_tensors("fits", key, lambda: {"map": torch.ones(2, 3), "count": torch.tensor(1)})
    make = lambda rows: torch.zeros(len(rows), 1, 2, 2)  # noqa: E731
    made_images("mirrored", {"source": IMAGES, "rate": 0.5}, 4, make, block_images=2)
    stored_images(
        file_fingerprint(tmp_path / "lab.zip"),
        lambda to: np.save(to, np.zeros((3, 1, 2, 2), np.uint8)),
    )
    remember_names({IMAGES: "training images of digits", NETWORK: "a network"})
    return folder


def said(*arguments: str, cwd: Path, status: int = 0) -> tuple[str, str]:
    """(stdout, stderr) of `fpmc-bench cache ARGUMENTS`."""
    done = fpmc_bench("cache", *arguments, cwd=cwd)
    assert done.returncode == status, done.stderr
    return done.stdout, done.stderr


def listed(cache: Path, *what: str) -> dict[str, dict[str, object]]:
    """What `list --json` says, by kind and name."""
    found = json.loads(said("list", *what, "--json", cwd=cache)[0])
    return {f"{one['kind']}/{one['name']}": one for one in found["things"]}


def aged(path: Path, days: float) -> None:
    os.utime(path, (time.time() - days * DAY,) * 2)


def test_kinds_are_counted_and_add_up_to_what_the_disk_holds(cache: Path) -> None:
    out, err = said("list", cwd=cache)
    assert err == ""
    lines = out.splitlines()
    counts = {line.split()[0]: int(line.split()[1]) for line in lines[2:-2]}
    assert counts == {"fits": 2, "images": 1, "images/known": 1, "mirrored": 1, "names": 2}
    on_disk = sum(path.stat().st_size for path in cache.rglob("*") if path.is_file())
    assert lines[-1] == f"7 things, {size_text(on_disk)} in {cache}"
    assert json.loads(said("list", "--json", cwd=cache)[0])["bytes"] == on_disk


def test_a_thing_says_what_it_was_made_from_by_names_that_people_know(cache: Path) -> None:
    out, _ = said("list", "fits", cwd=cache)
    rows = [line for line in out.splitlines() if line.startswith("fits/")]
    assert len(rows) == 2
    for row in rows:
        assert f"source training images of digits ({'a' * 12}); teacher a network" in row
    found = {one["card"]["sigma"]: one for one in listed(cache, "fits").values()}
    assert set(found) == set(SIGMAS)
    out, _ = said("explain", found[80.0]["name"][:8], cwd=cache)
    for line in (
        f"name       fits/{found[80.0]['name']}",
        "           sigma 80",
        "holds      count [] I64",
        "           map [2, 3] F32",
        "whole      yes, by its digest",
        "in use     not at this moment",
    ):
        assert f"\n{line}\n" in f"\n{out}", out
    (store,) = listed(cache, "images")
    out, _ = said("explain", store, cwd=cache)
    assert f"key {cache.parent / 'lab.zip'} (" in out, "of files it is where they lay"
    assert "[3, 1, 2, 2] uint8" in out
    (made,) = listed(cache, "mirrored")
    assert "rate 0.5" in said("explain", made, cwd=cache)[0]
    assert "[4, 1, 2, 2] float32" in said("explain", made, cwd=cache)[0]


def test_what_is_unknown_or_could_be_several_is_refused_with_what_there_is(cache: Path) -> None:
    names = list(listed(cache, "fits"))
    for command in ("list", "explain", "clear"):
        _, err = said(command, "fitz", cwd=cache, status=2)
        assert "Unknown kind or name of the cache 'fitz'. Did you mean 'fits'?" in err
        for few in ("", "fits/", names[0][5:8], "fits/" + names[0][5:8]):
            assert "Unknown" in said(command, few, cwd=cache, status=2)[1], "too little to go by"
    _, err = said("explain", "fits", cwd=cache, status=2)
    assert all(name in err for name in names)
    for wrong in ("3x", "-1d", "d", "1 year", "1e9d", "0d"):
        assert "is no span of time" in said("clear", "--older-than", wrong, cwd=cache, status=2)[1]


def test_two_names_that_begin_alike_are_told_apart(cache: Path) -> None:
    for last in "01":
        save_file({"a": torch.ones(1)}, cache / "fits" / f"{'f' * 31}{last}.safetensors")
    _, err = said("clear", "ffff", "--yes", cwd=cache, status=2)
    assert f"'ffff' begins fits/{'f' * 31}0, fits/{'f' * 31}1; give more" in err


def test_a_kind_is_cleared_and_made_anew_when_it_is_wanted(cache: Path) -> None:
    out, _ = said("clear", "fits", "--dry-run", cwd=cache)
    assert out.count("would remove fits/") == 2
    assert len(listed(cache)) == 7
    out, _ = said("clear", "fits", "--yes", cwd=cache)
    assert out.startswith("freed ")
    assert out.endswith(": 2 of 2 things\n")
    assert list((cache / "fits").iterdir()) == [], "with their locks"
    assert len(listed(cache)) == 5
    made = []
    key = {"source": IMAGES, "teacher": NETWORK, "sigma": 80.0}
    cached_tensors("fits", key, lambda: made.append(1) or {"map": torch.ones(1)})
    assert made == [1]
    assert said("clear", "fits", "mirrored", "--yes", cwd=cache)[0].endswith("2 of 2 things\n")
    assert said("clear", "--yes", cwd=cache)[0].endswith(" of 4 things\n")
    assert not [path for path in cache.rglob("*") if path.is_file()]
    assert said("clear", "--yes", cwd=cache)[0] == f"nothing to remove in {cache}\n"


def test_what_was_wanted_lately_is_not_old(cache: Path) -> None:
    for path in cache.rglob("*.safetensors"):
        aged(path, 31)
    key = {"source": IMAGES, "teacher": NETWORK, "sigma": 80.0}
    cached_tensors("fits", key, dict)
    out, _ = said("clear", "--older-than", "30d", "--yes", cwd=cache)
    assert out.endswith("1 of 1 things\n")
    assert [one["card"]["sigma"] for one in listed(cache, "fits").values()] == [80.0]


@pytest.mark.parametrize("damage", DAMAGES)
@pytest.mark.parametrize("kind", ["fits", "images", "images/known", "mirrored", "names"])
def test_damage_is_explained_and_cleared_and_nothing_else(
    cache: Path, kind: str, damage: object
) -> None:
    path = next(
        one for one in sorted((cache / kind).iterdir()) if one.is_file() and one.suffix != ".lock"
    )
    assert callable(damage)
    damage(path)
    said("list", cwd=cache)
    said("list", kind, cwd=cache)
    (name,) = [
        name for name in listed(cache, kind) if path.name.startswith(name.rpartition("/")[2])
    ]
    out, _ = said("explain", name, cwd=cache)
    assert f"whole      {path}" in out
    out, err = said("clear", "--damaged", "--yes", cwd=cache)
    assert out.endswith("1 of 1 things\n"), out
    assert str(path) in err
    assert not path.exists()
    assert len(listed(cache)) == 6


def test_things_that_were_swapped_are_damaged(cache: Path) -> None:
    swapped(*cache.rglob("*.safetensors"))
    assert said("clear", "--damaged", "--yes", cwd=cache)[0].endswith("2 of 2 things\n")


def test_what_a_process_holds_stays_and_is_said(cache: Path) -> None:
    first, second = sorted((cache / "fits").glob("*.safetensors"))
    with FileLock(first.with_suffix(".lock")):
        out, err = said("clear", "fits", "--yes", cwd=cache)
        assert out.endswith("1 of 2 things\n")
        assert err == f"fpmc-bench: fits/{first.name[:12]} is in use by a process, and stays\n"
        assert "a process makes it" in said("explain", f"fits/{first.stem}", cwd=cache)[0]
    assert first.exists()
    assert not second.exists()
    # images of which a part is being made
    (whole,) = (cache / "mirrored").glob("*.npy")
    with FileLock(whole.with_suffix(".4-6.lock")):
        assert said("clear", "mirrored", "--yes", cwd=cache)[0].endswith("0 of 1 things\n")
    assert whole.exists()


def test_what_was_begun_and_left_goes_with_its_thing(cache: Path) -> None:
    (whole,) = (cache / "mirrored").glob("*.npy")
    left = temporary_path(whole, ".partial.npy")
    left.write_bytes(bytes(1000))
    lock = cache / "fits" / f"{'0' * 32}.lock"
    lock.touch()
    assert "fits     " in said("list", cwd=cache)[0]
    assert len(listed(cache, "fits")) == 2, "a lock alone is nothing to a reader"
    said("clear", "--yes", cwd=cache)
    assert not left.exists()
    assert not lock.exists()


def test_files_of_others_are_counted_and_never_touched(cache: Path, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / f"{'c' * 32}.safetensors").write_bytes(b"of value")
    (cache / "fits" / "linked").symlink_to(outside, target_is_directory=True)
    (cache / "fits" / f"{'d' * 32}.npy").symlink_to(outside / f"{'c' * 32}.safetensors")
    save_file({"w": torch.ones(3)}, cache / "network.safetensors")
    save_file({"w": torch.ones(3)}, cache / "fits" / "mine.safetensors")
    np.save(cache / "fits" / "mine.npy", np.ones(3))
    (cache / f"{'e' * 32}.json").write_text("{}")  # not in any kind's folder
    os.mkfifo(cache / "fits" / f"{'f' * 32}.npy")
    (cache / "fits" / f"{'f' * 32}.json").mkdir()
    strange = b"\xff\x1b[31m\n.npy"
    (Path(os.fsdecode(os.fsencode(cache / "fits") + b"/" + strange))).write_bytes(b"?")
    folder = Path(os.fsdecode(os.fsencode(cache) + b"/\xff\x1b[2J"))
    folder.mkdir()
    (folder / f"{'9' * 32}.json").write_text("{}")
    out, err = said("list", cwd=cache)
    assert "7 other files there" in out
    assert "\x1b" not in out + err
    assert err == f"fpmc-bench: {cache}/fits/linked is a link, which is not followed\n"
    listed(cache)
    said("clear", "--yes", cwd=cache)
    left = {path.name for path in cache.rglob("*") if not path.is_dir()}
    assert len(left) == 7
    assert {"network.safetensors", "mine.safetensors", "mine.npy"} < left
    assert (outside / f"{'c' * 32}.safetensors").read_bytes() == b"of value"


def test_an_answer_is_asked_for(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for answer, left in (("n\n", 7), ("", 7), ("y\n", 0)):
        monkeypatch.setattr("sys.stdin", io.StringIO(answer))
        out, err = said("clear", cwd=cache, status=0 if answer else 2)
        assert "remove 7 things, " in err
        assert f"from {cache}? [y/N]" in err
        assert ("nothing was removed" in out + err) == bool(left)
        assert len(inventory(cache).kinds and listed(cache)) == left


def test_where_there_is_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FPMC_BENCH_CACHE", str(tmp_path / "none"))
    assert said("list", cwd=tmp_path)[0] == f"0 things, 0 B in {tmp_path / 'none'}\n"
    assert "Available: none" in said("explain", "fits", cwd=tmp_path, status=2)[1]
    assert not (tmp_path / "none").exists()


def test_sizes_and_dates_whatever_a_disk_says() -> None:
    assert [size_text(size) for size in (0, 1023, 1024, 3 * 2**29, 2**60)] == [
        *("0 B", "1023 B", "1.0 KiB", "1.5 GiB", "1048576.0 TiB")
    ]
    assert date_of(1e300) == date_of(float("inf")) == "?"
    assert date_of(0)[:2] in ("19", "20")
