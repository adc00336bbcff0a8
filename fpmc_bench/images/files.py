"""The image files of a zip or a folder, checked before the first of them is decoded."""

import json
import zipfile
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from fpmc_bench.errors import InputError
from fpmc_bench.images.decoding import SUFFIXES

LABELS_FILE = "dataset.json"
MAX_MEMBER_BYTES = 2**28
MAX_EXPANSION = 20
"""A zip may hold so many times its own size (images are compressed already: about once)."""
SMALL_BYTES = 2**20
"""Below this a ratio says nothing."""


@dataclass(frozen=True)
class ImageFiles:
    """`names` of images inside `path` in sorted order, and the label of each, if all have one."""

    path: Path
    names: tuple[str, ...]
    labels: tuple[int, ...] | None

    def contents(self) -> Iterator[tuple[str, bytes]]:
        """(name to show, content) of every image, in order; InputError names a damaged one."""
        if self.path.is_dir():
            for name in self.names:
                yield str(self.path / name), _read(self.path / name)
            return
        with _zip(self.path) as archive:
            for name in self.names:
                yield f"{self.path}: {name}", _member(archive, self.path, name)


def image_files(path: Path) -> ImageFiles:
    """What is in a zip or a folder; InputError says what is wrong with it and what to do."""
    if path.is_dir():
        found = sorted(p for p in path.rglob("*") if p.is_file() and p.suffix.lower() in SUFFIXES)
        names = tuple(p.relative_to(path).as_posix() for p in found)
        index = path / LABELS_FILE
        text = _read(index) if index.is_file() else None
    else:
        with _zip(path) as archive:
            _refuse_unsafe(archive, path)
            names = tuple(sorted(n for n in archive.namelist() if _suffix(n) in SUFFIXES))
            has_index = LABELS_FILE in archive.namelist()
            text = _member(archive, path, LABELS_FILE) if has_index else None
    if not names:
        raise InputError(
            f"{path} holds no images; expected files ending in {', '.join(sorted(SUFFIXES))}"
        )
    return ImageFiles(path, names, _labels(text, names, path))


@contextmanager
def _zip(path: Path) -> Iterator[zipfile.ZipFile]:
    try:
        with zipfile.ZipFile(path) as archive:
            yield archive
    except zipfile.BadZipFile as error:
        raise InputError(f"{path} {_what_instead(path, error)}") from error
    except OSError as error:
        raise InputError(f"{path} can't be read ({error.strerror or error})") from error


def _what_instead(path: Path, error: Exception) -> str:
    head = path.read_bytes()[:512].lstrip().lower()
    if head.startswith((b"<!doctype", b"<html", b"<?xml")):
        return (
            "is a web page, not a zip: the link answered with a page about the file; download the "
            "file itself"
        )
    return f"is no zip, or was cut short ({error}); download it again"


def _refuse_unsafe(archive: zipfile.ZipFile, path: Path) -> None:
    """InputError for a member outside of the archive, encrypted, or too large when expanded."""
    total = 0
    for member in archive.infolist():
        name = PurePosixPath(member.filename.replace("\\", "/"))
        if name.is_absolute() or ".." in name.parts or ":" in member.filename.partition("/")[0]:
            raise InputError(
                f"{path} names a place outside of itself, {member.filename!r}: it is not to be "
                f"trusted; get the archive from its publisher"
            )
        if member.flag_bits & 1:
            raise InputError(f"{path}: {member.filename} is encrypted; expected plain images")
        total += member.file_size
        if member.file_size > MAX_MEMBER_BYTES:
            raise InputError(
                f"{path}: {member.filename} would expand to {member.file_size} bytes; expected "
                f"images of at most {MAX_MEMBER_BYTES}"
            )
    bound = max(SMALL_BYTES, MAX_EXPANSION * path.stat().st_size)
    if total > bound:
        raise InputError(
            f"{path} would expand to {total} bytes, more than {MAX_EXPANSION} times its size: "
            f"images don't compress like that, so it is not to be trusted"
        )


def _member(archive: zipfile.ZipFile, path: Path, name: str) -> bytes:
    try:
        return archive.read(name)  # no more than its stated size, which has been checked
    except (zipfile.BadZipFile, EOFError, NotImplementedError, OSError, RuntimeError) as error:
        raise InputError(
            f"{path}: {name} is cut short or damaged ({error}); download the archive again"
        ) from error
    except Exception as error:  # zlib.error and its kin, one for each way to compress
        raise InputError(f"{path}: {name} can't be expanded ({error})") from error


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise InputError(
            f"{path} can't be read ({error.strerror or error}); give yourself permission to"
        ) from error


def _suffix(name: str) -> str:
    return PurePosixPath(name).suffix.lower()


def _labels(text: bytes | None, names: tuple[str, ...], path: Path) -> tuple[int, ...] | None:
    """Of dataset.json: {"labels": [[name, class], ...]} or {"labels": null}."""
    if text is None:
        return None
    try:
        content: Any = json.loads(text)
        listed = content["labels"]
        if listed is None:
            return None
        by_name = {str(name): int(label) for name, label in listed}
    except (ValueError, TypeError, KeyError) as error:
        raise InputError(
            f'{path}: {LABELS_FILE} must be {{"labels": [[name, class], ...]}} or '
            f'{{"labels": null}} ({type(error).__name__}: {error})'
        ) from error
    missing = [name for name in names if name not in by_name]
    if missing:
        raise InputError(f"{path}: {LABELS_FILE} has no label for {missing[0]}")
    return tuple(by_name[name] for name in names)


def label_counts(labels: tuple[int, ...]) -> dict[int, int]:
    """Images of each class, by class."""
    return dict(sorted(Counter(labels).items()))
