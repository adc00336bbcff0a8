"""Whose pictures are they: one rule for folders and zips, and whatever is passed over is said."""

import io
import json
import struct
import tracemalloc
import warnings
import zipfile
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest
import torch
from pictures import load, picture, png, write_zip
from plans import small_suite
from runs import fpmc_bench

from fpmc_bench.catalog.context import load_context
from fpmc_bench.catalog.installed import installed_registry
from fpmc_bench.catalog.places import Places
from fpmc_bench.errors import InputError
from fpmc_bench.images.notices import notice
from fpmc_bench.images.twins import repeated_images, shared_images
from fpmc_bench.storage.content import file_fingerprint
from fpmc_plugins.datasets.own_images import ImageZip

PICTURES = {f"pics/img{i}.png": png(picture(i, 8)) for i in range(4)}
STALE = png(picture(9, 8))
APPLE = b"\0\5\x16\7\0\2\0\0Mac OS X        " + bytes(90)


@pytest.fixture(autouse=True)
def _notices_anew() -> None:
    notice.cache_clear()


def in_a_folder(path: Path, members: Mapping[str, bytes]) -> Path:
    for name, content in members.items():
        file = path / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content)
    return path


def in_a_zip(path: Path, members: Mapping[str, bytes]) -> Path:
    return write_zip(path.with_suffix(".zip"), dict(members))


def is_read(path: Path) -> None:
    """The pictures, all of them and no other."""
    images = load("image-zip", path).train.images
    expected = load("image-zip", in_a_zip(path.parent / "expected", PICTURES)).train.images
    assert torch.equal(images, expected)


PASSED_OVER = {
    "of a Mac": (
        {f"__MACOSX/pics/._img{i}.png": APPLE for i in range(4)} | {"pics/.DS_Store": b"\0Bud1"},
        "2 hidden or system file(s) or folder(s): __MACOSX, pics/.DS_Store",
    ),
    "AppleDouble": (
        {f"pics/._img{i}.png": APPLE for i in range(7)},
        "7 hidden or system file(s) or folder(s): pics/._img0.png, pics/._img1.png, "
        "pics/._img2.png, pics/._img3.png, pics/._img4.png and 2 more",
    ),
    "of Jupyter": (
        {"pics/.ipynb_checkpoints/img0-checkpoint.png": STALE},
        "1 hidden or system file(s) or folder(s): pics/.ipynb_checkpoints",
    ),
    "trash": (
        {".Trash-1000/files/deleted.png": STALE, ".thumbnails/img3.png": STALE},
        "2 hidden or system file(s) or folder(s): .Trash-1000, .thumbnails",
    ),
    "of Windows": (
        {"pics/Thumbs.db": b"\xd0\xcf", "pics/DESKTOP.INI": b"[", "$RECYCLE.BIN/a.png": STALE},
        "3 hidden or system file(s) or folder(s): $RECYCLE.BIN, pics/DESKTOP.INI, pics/Thumbs.db",
    ),
    "other kinds": (
        {"pics/a.avif": b"avif", "LICENSE": b"free", "pics/notes.txt": b"none"},
        "3 file(s) without the ending of an image that is read: LICENSE, pics/a.avif, "
        "pics/notes.txt",
    ),
}


@pytest.mark.parametrize("packed", [in_a_folder, in_a_zip])
@pytest.mark.parametrize("case", PASSED_OVER)
def test_what_is_nobodys_picture_is_passed_over_and_said(
    case: str, packed: object, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    more, said = PASSED_OVER[case]
    path = packed(tmp_path / "own", {**more, **PICTURES})  # type: ignore[operator]
    is_read(path)
    assert caplog.messages == [f"{path}: passed over {said}"]
    notice.cache_clear()
    load("image-zip", path)  # known by now, and said again
    assert caplog.messages == [f"{path}: passed over {said}"] * 2


def test_a_hidden_file_is_none_of_a_folders_content(tmp_path: Path) -> None:
    before = file_fingerprint(in_a_folder(tmp_path / "own", PICTURES))
    in_a_folder(tmp_path / "own", {".ipynb_checkpoints/a.png": STALE})
    assert file_fingerprint(tmp_path / "own") == before
    in_a_folder(tmp_path / "own", {"pics/new.png": STALE})
    assert file_fingerprint(tmp_path / "own") != before


def test_capitals_make_no_difference_to_an_ending(tmp_path: Path) -> None:
    members = {name.replace(".png", ".PNG"): content for name, content in PICTURES.items()}
    is_read(in_a_folder(tmp_path / "own", members))


# links


def test_links_are_followed_and_what_they_lead_to_is_known_by_content(tmp_path: Path) -> None:
    far = in_a_folder(tmp_path / "far", PICTURES)
    own = tmp_path / "own"
    (own / "pics").mkdir(parents=True)
    (own / "pics" / "img0.png").symlink_to(far / "pics" / "img0.png")
    for index in (1, 2, 3):
        (own / "pics" / f"img{index}.png").write_bytes(PICTURES[f"pics/img{index}.png"])
    is_read(own)
    linked = tmp_path / "linked"
    linked.mkdir()
    (linked / "pics").symlink_to(far / "pics")
    is_read(linked)
    (far / "pics" / "img3.png").write_bytes(STALE)
    images = load("image-folder", linked).train.images
    assert np.array_equal(images[3].numpy(), np.asarray(picture(9, 8)).transpose(2, 0, 1))


def test_links_that_lead_nowhere_are_listed(tmp_path: Path) -> None:
    own = in_a_folder(tmp_path / "own", PICTURES)
    for index in range(7):
        (own / f"gone{index}.png").symlink_to("../.annex/gone.png")
    (own / "round").symlink_to("round")
    complaint = r"own has 8 link\(s\) that lead nowhere: gone0.png, .*gone4.png and 3 more; bring"
    with pytest.raises(InputError, match=complaint):
        load("image-folder", own)


def test_a_link_to_a_folder_that_it_is_in(tmp_path: Path) -> None:
    own = in_a_folder(tmp_path / "own", PICTURES)
    (own / "pics" / "again").symlink_to(own)
    with pytest.raises(InputError, match="again links back to a folder that it is in; remove it"):
        load("image-folder", own)


# names in zips


def test_two_members_of_one_name(tmp_path: Path) -> None:
    path = tmp_path / "twice.zip"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # zipfile's own
        with zipfile.ZipFile(path, "w") as archive:
            for name, seed in (("pics/a.png", 0), ("b.png", 1), ("pics\\a.png", 2)):
                archive.writestr(name, png(picture(seed, 8)))
    with pytest.raises(InputError, match=r"twice.zip holds two members named pics/a.png, and"):
        load("image-zip", path)


@pytest.mark.parametrize("member", "/\\")
@pytest.mark.parametrize("label", "/\\")
def test_either_slash_in_names_and_labels(member: str, label: str, tmp_path: Path) -> None:
    labels = [[f"00000{label}img{i}.png", i] for i in range(4)]
    members = {f"00000{member}img{i}.png": PICTURES[f"pics/img{i}.png"] for i in range(4)}
    members |= {f"00000{member}": b"", "dataset.json": json.dumps({"labels": labels}).encode()}
    path = write_zip(tmp_path / "own.zip", members)
    assert ImageZip().images(path, "train").labels == (0, 1, 2, 3)
    is_read(path)


@pytest.mark.parametrize(("method", "called"), [(9, "Deflate64"), (14, "LZMA"), (99, "method 99")])
def test_a_compression_that_is_not_expanded(method: int, called: str, tmp_path: Path) -> None:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in PICTURES.items():
            archive.writestr(name, content)
    content = bytearray(buffer.getvalue())
    for signature, offset in ((b"PK\3\4", 8), (b"PK\1\2", 10)):
        at = -1
        while (at := content.find(signature, at + 1)) >= 0:
            content[at + offset : at + offset + 2] = struct.pack("<H", method)
    path = tmp_path / "own.zip"
    path.write_bytes(content)
    complaint = (
        f"img0.png is compressed by {called}, which is not expanded here; unpack the archive"
    )
    with pytest.raises(InputError, match=complaint):
        load("image-zip", path)


def test_a_member_that_states_more_than_the_archive_has(tmp_path: Path) -> None:
    path = write_zip(tmp_path / "own.zip", PICTURES)
    content = bytearray(path.read_bytes())
    at = content.rfind(b"PK\1\2")
    content[at + 20 : at + 24] = struct.pack("<I", 2**31)
    path.write_bytes(content)
    tracemalloc.start()
    with pytest.raises(InputError, match="is cut short or damaged"):
        load("image-zip", path)
    assert tracemalloc.get_traced_memory()[1] < 2**24
    tracemalloc.stop()


# labels


def labelled(path: Path, name: str, content: object, **more: bytes) -> Path:
    text = content if isinstance(content, bytes) else json.dumps(content).encode()
    return in_a_zip(path, {**PICTURES, name: text, **more})


def test_labels_are_found_beside_the_images_that_they_name(tmp_path: Path) -> None:
    listed = {"labels": [[f"img{i}.png", i % 2] for i in range(4)]}
    for name in ("pics/dataset.json", "dataset.json"):
        if name == "dataset.json":
            listed = {"labels": [[f"./pics/img{i}.png", i % 2] for i in range(4)]}
        path = labelled(tmp_path / "own", name, listed)
        assert ImageZip().images(path, "train").labels == (0, 1, 0, 1)


BAD_LABELS = {
    "two files": (
        {"dataset.json": {"labels": None}, "pics/dataset.json": {"labels": None}},
        "holds 2 files dataset.json: dataset.json, pics/dataset.json; expected one at most",
    ),
    "two classes": (
        {"dataset.json": {"labels": [[name, i] for i in range(2) for name in PICTURES]}},
        "dataset.json has two labels for pics/img0.png; expected one",
    ),
    "a fraction": (
        {"dataset.json": {"labels": [[name, 1.5] for name in PICTURES]}},
        "the class of pics/img0.png is no integer",
    ),
    "a number's name": ({"dataset.json": {"labels": [[1, 1]]}}, "TypeError: 1 is no name"),
    "deep": ({"dataset.json": b"[" * 100_000}, "must be .*its brackets are nested too deep"),
}


@pytest.mark.parametrize("case", BAD_LABELS)
def test_labels_that_are_none(case: str, tmp_path: Path) -> None:
    files, complaint = BAD_LABELS[case]
    texts = {n: c if isinstance(c, bytes) else json.dumps(c).encode() for n, c in files.items()}
    with pytest.raises(InputError, match=complaint):
        load("image-folder", in_a_folder(tmp_path / "own", {**PICTURES, **texts}))


# the same picture twice


def test_equal_images_are_counted() -> None:
    images = torch.arange(5 * 12, dtype=torch.uint8).reshape(5, 1, 3, 4)
    rows = torch.tensor([0, 1, 0, 2, 1, 0])
    assert repeated_images(images) == 0
    assert repeated_images(images[rows]) == 3
    assert shared_images(images[rows], images[1:3]) == 3
    assert shared_images(images[1:3].double(), images[rows].double()) == 2
    assert shared_images(images[3:], images[rows]) == 0


def grey_digits(folder: Path) -> Path:
    """20 grey images of 8x8, of which four are one."""
    folder.mkdir()
    for index in range(20):
        picture(max(index, 3), 8, "L").save(folder / f"{index:02d}.png")
    return folder


def test_info_counts_equal_images(tmp_path: Path) -> None:
    path = grey_digits(tmp_path / "own")
    done = fpmc_bench(
        "data", "info", "image-folder", "--data", f"image-folder={path}", "--json", cwd=tmp_path
    )
    (train,) = json.loads(done.stdout)["splits"]
    assert train["repeated"] == 3
    assert "in_train" not in train


def test_a_run_says_that_test_images_are_in_the_training_set(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = grey_digits(tmp_path / "own")
    dataset = {"name": "image-folder", "params": {"test_images": 10}}
    context = load_context(
        small_suite(dataset=dataset),
        installed_registry(),
        "cpu",
        Places(data={"image-folder": str(path)}),
    )
    train, test = ({i.numpy().tobytes() for i in s.images} for s in
                   (context.dataset.train, context.dataset.test))  # fmt: skip
    assert len(train & test) == 1  # as this seed holds them out
    shared = context.dataset.test_images_in_train
    assert 1 <= shared <= 3
    said, *_ = caplog.messages  # the digits' own networks saw others, which is said as well
    assert said.startswith(f"dataset 'image-folder': {shared} of 10 test images are training")
