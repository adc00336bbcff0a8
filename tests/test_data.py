"""`fpmc-bench data` and the datasets that a user keeps: good files, and every kind of bad one."""

import io
import json
import os
import pickle
import random
import re
import struct
import subprocess
import sys
import tarfile
import tracemalloc
import zipfile
import zlib
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from damage import full_disk, turned
from hostile_pickles import RAW, Calls
from pictures import edm_zip, load, picture, png, python2_batch, write_zip
from PIL import Image
from runs import environment, fpmc_bench

from fpmc_bench import decoded_images
from fpmc_bench.errors import InputError, ParameterError
from fpmc_bench.images.cifar_archive import read_cifar_archive
from fpmc_bench.storage.cache import cache_directory
from fpmc_plugins.datasets.own_images import ImageZip


def python_batches(folder: Path, images: int = 3) -> dict[str, np.ndarray]:
    """The official layout, written by numpy itself; returns the images of each file."""
    written = {}
    folder.mkdir(parents=True)
    for seed, name in enumerate([*(f"data_batch_{i}" for i in range(1, 6)), "test_batch"]):
        data = np.random.default_rng(seed).integers(0, 256, (images, 3072), dtype=np.uint8)
        batch = {b"batch_label": b"x", b"labels": [seed] * images, b"data": data, b"filenames": []}
        (folder / name).write_bytes(pickle.dumps(batch, protocol=2))
        written[name] = data.reshape(-1, 3, 32, 32)
    return written


@pytest.mark.parametrize("writer", ["python 2", 2, 3, 4])
def test_a_file_of_cifar_10_whoever_wrote_it(writer: str | int, tmp_path: Path) -> None:
    folder = tmp_path / "cifar-10-batches-py"
    python_batches(folder)
    data = np.random.default_rng(9).integers(0, 256, (4, 3072), dtype=np.uint8)
    labels = [3, 1, 4, 1]
    batch = {b"labels": labels, b"data": data, b"filenames": [b"a.png"] * 4}
    content = (
        python2_batch(data, labels) if isinstance(writer, str) else pickle.dumps(batch, writer)
    )
    assert np.array_equal(pickle.loads(content, encoding="bytes")[b"data"], data)
    (folder / "test_batch").write_bytes(content)
    found = read_cifar_archive(folder, "test", tmp_path / "images.npy")
    assert found == tuple(labels)
    assert np.array_equal(np.load(tmp_path / "images.npy").reshape(4, -1), data)


# what is read is what was written


def test_a_zip_in_edms_layout(tmp_path: Path) -> None:
    edm_zip(tmp_path / "c10-train.zip", 5)
    edm_zip(tmp_path / "c10-test.zip", 3)
    data = load("cifar10", tmp_path / "c10-train.zip")
    assert (len(data.train), len(data.test)) == (5, 3)
    expected = np.asarray(picture(4)).transpose(2, 0, 1)
    assert np.array_equal(data.train.images[4].numpy(), expected)


@pytest.mark.parametrize("packed", [False, True])
def test_the_python_archive(tmp_path: Path, packed: bool) -> None:
    folder = tmp_path / "cifar-10-batches-py"
    written = python_batches(folder)
    path = folder
    if packed:
        path = tmp_path / "cifar-10-python.tar.gz"
        with tarfile.open(path, "w:gz") as archive:
            archive.add(folder, "cifar-10-batches-py")
    data = load("cifar10", path)
    expected = np.concatenate([written[f"data_batch_{i}"] for i in range(1, 6)])
    assert np.array_equal(data.train.images.numpy(), expected)
    assert np.array_equal(data.test.images.numpy(), written["test_batch"])


@pytest.mark.parametrize(("seed", "held_out"), [(0, [1, 3, 0, 4]), (1, [4, 0, 3, 5])])
def test_images_are_held_out_by_a_seed_that_means_the_same_for_good(
    seed: int, held_out: list[int], tmp_path: Path
) -> None:
    for index in range(6):
        picture(index, 12).save(tmp_path / f"{index}.png")
    original = load("image-folder", tmp_path)
    assert original.test is None
    data = load("image-folder", tmp_path, test_images=4, test_seed=seed)
    assert torch.equal(data.test.images, original.train.images[held_out])
    kept = sorted(set(range(6)) - set(held_out))
    assert set(data.train.images.sum((1, 2, 3)).tolist()) == set(
        original.train.images[kept].sum((1, 2, 3)).tolist()
    )
    fewer = load("image-folder", tmp_path, test_images=1, test_seed=seed)
    assert torch.equal(fewer.test.images, data.test.images[-1:])


def test_held_out_images_keep_their_labels_and_come_from_all_classes(tmp_path: Path) -> None:
    """Names that begin with the class: the last of them would be of one alone."""
    names = [f"{label}/{index}.png" for label in range(2) for index in range(20)]
    members = {name: png(picture(row, 4)) for row, name in enumerate(names)}
    labels = [[name, int(name[0])] for name in names]
    members["dataset.json"] = json.dumps({"labels": labels}).encode()
    path = write_zip(tmp_path / "classes.zip", members)
    plugin, content = ImageZip(test_images=20), {png(picture(r, 4)): r for r in range(40)}
    for split in ("train", "test"):
        stored = plugin.images(path, split)
        rows = [content[png(Image.fromarray(i.permute(1, 2, 0).numpy()))] for i in stored.codes]
        assert stored.labels == tuple(row // 20 for row in rows)
        assert 5 <= sum(stored.labels) <= 15


def test_what_can_not_be_held_out(tmp_path: Path) -> None:
    for index in range(6):
        picture(index, 12).save(tmp_path / f"{index}.png")
    with pytest.raises(ParameterError, match="test_seed must be from 0 to 4294967295, got -1"):
        ImageZip(test_seed=-1)
    with pytest.raises(InputError, match="holding out 6 leaves none"):
        load("image-folder", tmp_path, test_images=6)


def test_grey_images_stay_grey_unless_others_have_colour(tmp_path: Path) -> None:
    grey, mixed = tmp_path / "grey", tmp_path / "mixed"
    for folder, modes in ((grey, "LL"), (mixed, ["L", "RGB", "P"])):
        folder.mkdir()
        for index, mode in enumerate(modes):
            picture(index, 8, mode).save(folder / f"{index}.png")
    assert load("image-folder", grey).shape == (1, 8, 8)
    data = load("image-folder", mixed)
    assert data.shape == (3, 8, 8)
    first = data.train.images[0].numpy()
    assert np.array_equal(first[0], np.asarray(picture(0, 8, "L")))
    assert np.array_equal(first[0], first[2])


def test_decoded_once_and_mapped_from_then_on(tmp_path: Path) -> None:
    path = edm_zip(tmp_path / "one.zip", 4, labels=False)
    first = load("image-zip", path).train.images.clone()
    stored = set(cache_directory().glob("images/*.npy"))
    touched = {file: file.stat().st_mtime_ns for file in stored}
    assert torch.equal(load("image-zip", path).train.images, first)
    assert {file: file.stat().st_mtime_ns for file in stored} == touched
    copy = tmp_path / "copy.zip"
    copy.write_bytes(path.read_bytes())
    load("image-zip", copy)  # the same content under another name
    assert set(cache_directory().glob("images/*.npy")) == stored


def test_changed_content_is_another_dataset(tmp_path: Path) -> None:
    path = edm_zip(tmp_path / "one.zip", 4)
    before = load("image-zip", path).fingerprint
    path.unlink()
    edm_zip(path, 5)
    assert load("image-zip", path).fingerprint != before


def test_a_damaged_cache_is_made_anew(tmp_path: Path) -> None:
    path = edm_zip(tmp_path / "fresh.zip", 7)
    before = set(cache_directory().glob("images/*.npy"))
    expected = load("image-zip", path).train.images.clone()
    (stored,) = set(cache_directory().glob("images/*.npy")) - before
    stored.write_bytes(stored.read_bytes()[:500])
    assert torch.equal(load("image-zip", path).train.images, expected)


@pytest.mark.parametrize("place", [0.1, 0.5, 0.995], ids=["header", "pixel", "label"])
def test_a_turned_bit_in_the_cache_is_said_and_undone(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    place: float,
) -> None:
    monkeypatch.setenv("FPMC_BENCH_CACHE", str(tmp_path / "cache"))
    path = edm_zip(tmp_path / "fresh.zip", 4)
    expected = decoded_images(path)
    codes, labels = expected.codes.clone(), expected.labels
    (stored,) = cache_directory().glob("images/*.npy")
    turned(stored, place)
    again = decoded_images(path)
    assert torch.equal(again.codes, codes)
    assert again.labels == labels is not None
    assert str(stored) in caplog.text


def test_a_full_disk_while_decoding_is_one_line(tmp_path: Path) -> None:
    """And no SIGBUS, which a page of a mapped file without room is."""
    path = edm_zip(tmp_path / "many.zip", 60)
    before = set(cache_directory().rglob("*.npy"))
    with full_disk(100_000):
        done = fpmc_bench("data", "info", "image-zip", "--data", f"image-zip={path}", cwd=tmp_path)
    assert done.returncode == 1
    (line,) = done.stderr.strip().splitlines()
    assert re.fullmatch(r"fpmc-bench: .*\.npy can't be written \(.*\), and .*; make room.*", line)
    assert set(cache_directory().rglob("*.npy")) == before
    assert [one.name for one in tmp_path.iterdir()] == ["many.zip"]


def test_writing_to_an_image_leaves_the_cache_alone(tmp_path: Path) -> None:
    path = edm_zip(tmp_path / "one.zip", 4)
    images = load("image-zip", path).train.images
    kept = images.clone()
    images.zero_()
    assert torch.equal(load("image-zip", path).train.images, kept)


# the command line


def test_info_counts_and_draws(tmp_path: Path) -> None:
    edm_zip(tmp_path / "train.zip", 6)
    edm_zip(tmp_path / "test.zip", 2)
    given = ("--data", f"cifar10={tmp_path / 'train.zip'}")
    done = fpmc_bench("data", "info", "cifar10", *given, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "2 of 3 images" in done.stdout
    with Image.open(tmp_path / "cifar10.png") as sheet:
        assert sheet.size[0] > 16 * 64
        corner = np.asarray(sheet)[2:66:2, 2:66:2]
    assert np.array_equal(corner, np.asarray(picture(0)))  # the first image, each pixel twice
    done = fpmc_bench("data", "info", "cifar10", *given, "--json", cwd=tmp_path)
    train, test = json.loads(done.stdout)["splits"]
    data = load("cifar10", tmp_path / "train.zip")
    assert (train["images"], test["images"]) == (6, 2)
    assert train["mean"] == pytest.approx(float(data.train.values().mean()), abs=1e-6)
    assert train["std"] == pytest.approx(float(data.train.values().std(correction=0)), abs=1e-6)


def test_prepare_crops_the_middle_and_repeats_itself(tmp_path: Path) -> None:
    folder = tmp_path / "large"
    folder.mkdir()
    values = np.zeros((64, 96, 3), np.uint8)
    values[:, 16:80] = 200  # the square in the middle
    Image.fromarray(values).save(folder / "b.png")
    picture(1, 80).save(folder / "a.png")
    for name in ("one.zip", "two.zip"):
        done = fpmc_bench("data", "prepare", folder, name, "--side-px", "16", cwd=tmp_path)
        assert done.returncode == 0, done.stderr
    assert (tmp_path / "one.zip").read_bytes() == (tmp_path / "two.zip").read_bytes()
    images = load("image-zip", tmp_path / "one.zip").train.images
    assert images.shape == (2, 3, 16, 16)
    expected = picture(1, 80).resize((16, 16), Image.Resampling.LANCZOS)
    assert np.array_equal(images[0].numpy(), np.asarray(expected).transpose(2, 0, 1))
    assert bool((images[1] == 200).all())


# bad files: each refused with its name, the reason and a remedy; nothing is left of it


def truncated_image(folder: Path) -> Path:
    whole = png(picture(1))
    return write_zip(
        folder / "bad.zip", {"a.png": png(picture(0)), "b.png": whole[: len(whole) // 2]}
    )


def no_image(folder: Path) -> Path:
    return write_zip(folder / "bad.zip", {"a.png": png(picture(0)), "b.png": b"not an image"})


def mixed_sizes(folder: Path) -> Path:
    return write_zip(folder / "bad.zip", {"a.png": png(picture(0)), "b.png": png(picture(1, 16))})


def transparent(folder: Path) -> Path:
    image = picture(1, mode="RGBA")
    image.putpixel((3, 3), (1, 2, 3, 0))
    return write_zip(folder / "bad.zip", {"a.png": png(image)})


def sixteen_bits(folder: Path) -> Path:
    image = Image.fromarray(np.arange(1024, dtype=np.uint16).reshape(32, 32))
    return write_zip(folder / "bad.zip", {"a.png": png(image)})


def escaping(folder: Path) -> Path:
    return write_zip(folder / "bad.zip", {"../../evil.png": png(picture(0))})


def bomb(folder: Path) -> Path:
    path = folder / "bad.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a.png", bytes(40_000_000))
    return path


def pixel_bomb(folder: Path) -> Path:
    """A PNG of a few bytes that claims 60000 x 60000 pixels."""
    header = struct.pack(">IIBBBBB", 60_000, 60_000, 8, 2, 0, 0, 0)
    content = bytearray(png(picture(0)))
    content[16:29] = header
    crc = struct.pack(">I", zlib.crc32(content[12:29]))
    content[29:33] = crc
    return write_zip(folder / "bad.zip", {"a.png": bytes(content)})


def web_page(folder: Path) -> Path:
    path = folder / "bad.zip"
    path.write_text("<!DOCTYPE html><html>Too many requests</html>")
    return path


def cut_short(folder: Path) -> Path:
    path = edm_zip(folder / "bad.zip", 4)
    path.write_bytes(path.read_bytes()[:-200])
    return path


def damaged_member(folder: Path) -> Path:
    path = edm_zip(folder / "bad.zip", 2)
    content = bytearray(path.read_bytes())
    content[200:220] = bytes(20)
    path.write_bytes(content)
    return path


def wrong_labels(folder: Path) -> Path:
    members = {"a.png": png(picture(0)), "dataset.json": b'{"labels": [["b.png", 1]]}'}
    return write_zip(folder / "bad.zip", members)


def empty_zip(folder: Path) -> Path:
    return write_zip(folder / "bad.zip", {"readme.txt": b"nothing"})


BAD_ZIPS: dict[Callable[[Path], Path], str] = {
    truncated_image: r"bad.zip: b.png is cut short or damaged .* or remove it",
    no_image: r"bad.zip: b.png is no image that can be read; remove or replace it",
    mixed_sizes: r"b.png has 16x16 pixels, but .*a.png has 32x32; .*data prepare",
    transparent: r"a.png has transparent pixels; put it on a background",
    sixteen_bits: r"a.png has more than 8 bits a value.*convert it",
    escaping: r"bad.zip names a place outside of itself, '../../evil.png'",
    bomb: r"bad.zip would expand to 40000000 bytes, more than 20 times its size",
    pixel_bomb: r"a.png (claims 60000x60000 pixels|is no image)",
    web_page: r"bad.zip is a web page, not a zip.*download the file itself",
    cut_short: r"bad.zip is no zip, or was cut short .*download it again",
    damaged_member: r"bad.zip.* is cut short or damaged .*again",
    wrong_labels: r"bad.zip: dataset.json has no label for a.png",
    empty_zip: r"bad.zip holds no images; expected files ending in",
}


@pytest.mark.parametrize("make", BAD_ZIPS, ids=lambda make: make.__name__)
def test_bad_zips(make: Callable[[Path], Path], tmp_path: Path) -> None:
    path = make(tmp_path)
    before = set(cache_directory().rglob("*.npy"))
    outside = set(tmp_path.parent.parent.glob("evil*"))
    done = fpmc_bench("data", "info", "image-zip", "--data", f"image-zip={path}", cwd=tmp_path)
    assert done.returncode == 2, done.stderr
    (line,) = done.stderr.strip().splitlines()
    assert line.startswith("fpmc-bench: ")
    assert re.search(BAD_ZIPS[make], line), line
    assert set(cache_directory().rglob("*.npy")) == before
    assert set(tmp_path.parent.parent.glob("evil*")) == outside
    assert [p.name for p in tmp_path.iterdir()] == ["bad.zip"]


def test_an_empty_folder(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    given = ("--data", f"image-folder={tmp_path / 'empty'}")
    done = fpmc_bench("data", "info", "image-folder", *given, cwd=tmp_path)
    assert done.returncode == 2
    assert "empty holds no images; expected files ending in" in done.stderr


def test_a_place_where_nothing_is(tmp_path: Path) -> None:
    done = fpmc_bench("data", "info", "ffhq64", "--data", "ffhq64=nowhere.zip", cwd=tmp_path)
    assert done.returncode == 2
    assert "dataset 'ffhq64': there is nothing at nowhere.zip; expected" in done.stderr


def test_images_of_another_size_than_the_datasets(tmp_path: Path) -> None:
    path = edm_zip(tmp_path / "ffhq.zip", 2)
    done = fpmc_bench("data", "info", "ffhq64", "--data", f"ffhq64={path}", cwd=tmp_path)
    assert done.returncode == 2
    assert "holds 32x32 images of 3 channel(s), but 'ffhq64' has 64x64 of 3" in done.stderr


def test_training_images_without_test_images(tmp_path: Path) -> None:
    path = edm_zip(tmp_path / "cifar-train.zip", 2)
    done = fpmc_bench("data", "info", "cifar10", "--data", f"cifar10={path}", cwd=tmp_path)
    assert done.returncode == 2
    assert "expected the test images beside it, as cifar-test.zip or" in done.stderr


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_file_without_permission(tmp_path: Path) -> None:
    path = edm_zip(tmp_path / "locked.zip", 2)
    path.chmod(0)
    done = fpmc_bench("data", "info", "image-zip", "--data", f"image-zip={path}", cwd=tmp_path)
    assert done.returncode == 2
    assert "locked.zip can't be read (Permission denied)" in done.stderr


def test_a_file_that_the_system_refuses(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As for a user without permission; root, whom the tests may run as, has every permission."""
    path = edm_zip(tmp_path / "locked.zip", 2)

    allowed = Path.open

    def refuse(one: Path, *arguments: Any, **options: Any) -> Any:
        if one == path:
            raise PermissionError(13, "Permission denied", str(path))
        return allowed(one, *arguments, **options)

    monkeypatch.setattr(Path, "open", refuse)
    with pytest.raises(InputError, match=r"locked.zip can't be read \(Permission denied\)"):
        load("image-zip", path)


def cifar_refusal(folder: Path, content: bytes) -> str:
    """What is said of an archive whose first file is this."""
    if not folder.exists():
        python_batches(folder)
    (folder / "data_batch_1").write_bytes(content)
    with pytest.raises(InputError) as caught:
        read_cifar_archive(folder, "train", folder.parent / "images.npy")
    assert not (folder.parent / "images.npy").exists()
    return str(caught.value)


def batch_of(**changes: object) -> bytes:
    data = np.zeros((3, 3072), np.uint8)
    batch = {b"data": data, b"labels": [1, 2, 3]} | {k.encode(): v for k, v in changes.items()}
    return pickle.dumps(batch, protocol=2)


HOSTILE = {
    "call": (pickle.dumps(Calls(os.system, "touch executed")), "system', which no file of CIFAR"),
    "call inside": (batch_of(data={"x": [Calls(os.system, "touch executed")]}), "system', which"),
    "call in a list": (batch_of(labels=[1, 2, Calls(eval, "1")]), "eval', which no file of CIFAR"),
    "cut": (batch_of()[:5000], "not a whole pickle"),
    "web page": (b"<html></html>", "not a whole pickle"),
    "other content": (pickle.dumps([1, 2]), "is no batch of CIFAR-10"),
    "no array": (batch_of(data=[1, 2]), "its data is a list"),
    "no labels": (batch_of(labels={}), "its labels a dict"),
    "labels are text": (batch_of(labels=["1", "2", "3"]), "is no batch of CIFAR-10"),
    "floats": (batch_of(data=np.zeros((3, 3072), np.float32)), "is no batch of CIFAR-10"),
    "objects": (batch_of(data=np.array([1, "a"], object)), "is no batch of CIFAR-10"),
    "by columns": (batch_of(data=np.zeros((3072, 3), np.uint8).T), "is no batch of CIFAR-10"),
    "a label too few": (batch_of(labels=[1, 2]), "9216 bytes of images, expected 6144"),
}


@pytest.mark.parametrize("case", HOSTILE)
def test_a_hostile_python_archive(
    case: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    content, message = HOSTILE[case]
    said = cifar_refusal(tmp_path / "cifar-10-batches-py", content)
    assert message in said
    assert "data_batch_1" in said
    assert "\n" not in said
    assert not Path("executed").exists()


STATED = {
    "a place of the memo": b"\x80\x02K\x01r\xff\xff\xff\xff",
    "bytes": b"\x80\x03B\xff\xff\xff\xff",
    "bytes of eight EiB": b"\x80\x04\x8e\xff\xff\xff\xff\xff\xff\xff\x7f",
    "text": b"\x80\x02X\xff\xff\xff\xff",
    "a byte array": b"\x80\x05\x96\xff\xff\xff\xff\xff\xff\xff\x7f",
    "a number": b"\x80\x02\x8b\xff\xff\xff\x7f",
    "a frame": b"\x80\x04\x95\xff\xff\xff\xff\xff\xff\xff\x7f",
    "a million sets": b"\x80\x04" + b"\x8f" * 1_000_000,
}
"""Pickles of a few bytes, whose lengths C's own reader would make room for."""


@pytest.mark.parametrize("case", STATED)
def test_lengths_that_a_pickle_states_are_not_believed(case: str, tmp_path: Path) -> None:
    python_batches(tmp_path / "cifar-10-batches-py")
    tracemalloc.start()
    said = cifar_refusal(tmp_path / "cifar-10-batches-py", STATED[case])
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert "data_batch_1" in said
    assert peak < 2**26


@pytest.mark.parametrize("described", ["a long name", "many files", "another packing"])
def test_an_archive_that_would_fill_memory(described: str, tmp_path: Path) -> None:
    path, content = tmp_path / "cifar-10-python.tar.gz", tmp_path / "content"
    content.write_bytes(b"")
    with tarfile.open(path, "w:xz" if described == "another packing" else "w:gz") as archive:
        for number in range(2000 if described == "many files" else 1):
            archive.add(content, f"{number}")
        if described == "a long name":
            name = tarfile.TarInfo("name")
            name.type, name.size = tarfile.XHDTYPE, 10**8
            archive.addfile(name, io.BytesIO(bytes(10**8)))
    tracemalloc.start()
    with pytest.raises(InputError) as caught:
        read_cifar_archive(path, "train", tmp_path / "images.npy")
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    said = {
        "a long name": "describes a file by 100000000 bytes; expected at most 65536",
        "many files": "has more than 1000 files",
        "another packing": "is no tar archive",
    }
    assert said[described] in str(caught.value)
    assert peak < 2**22


def test_hostile_bytes_in_a_python_archive(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for content in RAW.values():
        said = cifar_refusal(tmp_path / "cifar-10-batches-py", content)
        assert "data_batch_1" in said
        assert len(said) < 600
    assert not Path("executed").exists()


def test_damage_to_a_python_archive_is_refused_or_read_but_never_another_error(
    tmp_path: Path,
) -> None:
    folder, draw = tmp_path / "cifar-10-batches-py", random.Random(0)
    python_batches(folder)
    whole = (folder / "data_batch_1").read_bytes()
    places = [*range(200), *range(len(whole) - 200, len(whole))]  # where the instructions are
    for _ in range(150):
        damaged = bytearray(whole)
        for place in draw.choices(places, k=draw.choice([1, 3, 30])):
            damaged[place] = draw.randrange(256)
        (folder / "data_batch_1").write_bytes(damaged)
        with suppress(InputError):
            read_cifar_archive(folder, "train", tmp_path / "images.npy")


def test_a_hostile_python_archive_at_the_command_line(tmp_path: Path) -> None:
    folder = tmp_path / "cifar-10-batches-py"
    python_batches(folder)
    (folder / "data_batch_1").write_bytes(HOSTILE["call"][0])
    done = fpmc_bench("data", "info", "cifar10", "--data", f"cifar10={folder}", cwd=tmp_path)
    assert done.returncode == 2
    (line,) = done.stderr.strip().splitlines()
    assert "data_batch_1 asks to import 'posix.system'" in line
    assert not (tmp_path / "executed").exists()


def test_prepare_leaves_nothing_half_written(tmp_path: Path) -> None:
    folder = tmp_path / "large"
    folder.mkdir()
    picture(0, 80).save(folder / "a.png")
    (folder / "b.png").write_bytes(b"damaged")
    done = fpmc_bench("data", "prepare", folder, "out.zip", cwd=tmp_path)
    assert done.returncode == 2
    assert "b.png is no image that can be read" in done.stderr
    assert [p.name for p in tmp_path.iterdir()] == ["large"]
    (folder / "b.png").unlink()
    picture(0, 40).save(folder / "c.png")
    done = fpmc_bench("data", "prepare", folder, "out.zip", cwd=tmp_path)
    assert "c.png has 40x40 pixels, fewer than the 64 asked for" in done.stderr
    (tmp_path / "out.zip").write_bytes(b"mine")
    (folder / "c.png").unlink()
    done = fpmc_bench("data", "prepare", folder, "out.zip", cwd=tmp_path)
    assert "out.zip exists; remove it, or choose another name" in done.stderr
    assert (tmp_path / "out.zip").read_bytes() == b"mine"


def test_prepare_takes_a_zip_as_well(tmp_path: Path) -> None:
    edm_zip(tmp_path / "large.zip", 3)
    done = fpmc_bench("data", "prepare", "large.zip", "a.zip", "--side-px", "8", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    stored = ImageZip().images(tmp_path / "a.zip", "train")
    assert (tuple(stored.codes.shape), stored.labels) == ((3, 3, 8, 8), (0, 1, 0))


def some_damaged(folder: Path) -> Path:
    """Five pictures of two classes, of which three can't be used, each in a way of its own."""
    folder.mkdir()
    for index in range(5):
        picture(index, 80).save(folder / f"{index}.png")
    (folder / "1.png").write_bytes(b"damaged")
    picture(2, 40).save(folder / "2.png")
    whole = (folder / "3.png").read_bytes()
    (folder / "3.png").write_bytes(whole[: len(whole) // 2])
    labels = [[f"{index}.png", index] for index in range(5)]
    (folder / "dataset.json").write_text(json.dumps({"labels": labels}))
    return folder


def test_prepare_lists_all_that_can_not_be_used(tmp_path: Path) -> None:
    some_damaged(tmp_path / "large")
    done = fpmc_bench("data", "prepare", "large", "out.zip", cwd=tmp_path)
    assert done.returncode == 2
    first, *listed = done.stderr.splitlines()
    assert first == ("fpmc-bench: 3 of 5 pictures can't be used; --skip-damaged leaves such out:")
    reasons = [
        "1.png is no image",
        "2.png has 40x40 pixels, fewer",
        "3.png is cut short or damaged",
    ]
    for line, reason in zip(listed, reasons, strict=True):
        assert reason in line
    assert [p.name for p in tmp_path.iterdir()] == ["large"]


def test_prepare_goes_on_without_what_can_not_be_used(tmp_path: Path) -> None:
    some_damaged(tmp_path / "large")
    done = fpmc_bench("data", "prepare", "large", "out.zip", "--skip-damaged", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stdout == ("wrote out.zip: 2 images of 64x64 pixels; 3 pictures were left out\n")
    assert [line.partition(" is ")[0] for line in done.stderr.splitlines()][0::2] == [
        "left out: large/1.png",
        "left out: large/3.png",
    ]
    stored = ImageZip().images(tmp_path / "out.zip", "train")
    assert (len(stored.codes), stored.labels) == (2, (0, 4))
    for index in (0, 4):
        (tmp_path / "large" / f"{index}.png").write_bytes(b"damaged too")
    done = fpmc_bench("data", "prepare", "large", "none.zip", "--skip-damaged", cwd=tmp_path)
    assert done.returncode == 2
    assert "5 of 5 pictures can't be used:" in done.stderr
    assert not (tmp_path / "none.zip").exists()


def test_two_processes_decode_once(tmp_path: Path) -> None:
    path = edm_zip(tmp_path / "both.zip", 30)
    program = (
        "import sys; from fpmc_bench import load_dataset; "
        "from fpmc_bench.catalog.places import Places; "
        "d = load_dataset('image-zip', places=Places(data={'image-zip': sys.argv[1]})); "
        "print(d.fingerprint)"
    )
    started = [
        subprocess.Popen(
            [sys.executable, "-c", program, str(path)],
            env={**environment(), "FPMC_BENCH_CACHE": str(tmp_path / "cache")},
            stdout=subprocess.PIPE,
            text=True,
        )
        for _ in range(2)
    ]
    outputs = {process.communicate(timeout=120)[0] for process in started}
    assert len(outputs) == 1
    assert len(list((tmp_path / "cache" / "images").glob("*.npy"))) == 1
