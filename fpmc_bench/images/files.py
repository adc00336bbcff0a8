"""The image files of a zip or a folder, checked before the first of them is decoded."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from posixpath import splitext

from fpmc_bench.errors import InputError
from fpmc_bench.images.decoding import SUFFIXES
from fpmc_bench.images.labels import labels_name, read_labels
from fpmc_bench.images.notices import notice
from fpmc_bench.images.zips import MAX_MEMBER_BYTES, opened_zip
from fpmc_bench.storage.walking import shown_names, walk


@dataclass(frozen=True)
class ImageFiles:
    """`names` of images inside `path`, in the order of names unless `ordered`.

    `labels` has the class of each, if all have one.
    """

    path: Path
    names: tuple[str, ...]
    labels: tuple[int, ...] | None

    def ordered(self, rows: Sequence[int]) -> "ImageFiles":
        """The images of these rows, in this order."""
        labels = None if self.labels is None else tuple(self.labels[row] for row in rows)
        return replace(self, names=tuple(self.names[row] for row in rows), labels=labels)

    def shown(self, name: str) -> str:
        """A name as messages have it."""
        return str(self.path / name) if self.path.is_dir() else f"{self.path}: {name}"

    def stored_bytes(self) -> int:
        """What the images take as they are stored."""
        if self.path.is_dir():
            return sum((self.path / name).stat().st_size for name in self.names)
        return self.path.stat().st_size

    @contextmanager
    def reader(self) -> Iterator[Callable[[str], bytes]]:
        """The content of an image by its name; InputError where it is damaged or can't be read."""
        if self.path.is_dir():
            yield lambda name: _read(self.path / name)
            return
        with opened_zip(self.path) as members:
            yield members.read


def image_files(path: Path) -> ImageFiles:
    """What is in a zip or a folder; InputError says what is wrong with it and what to do.

    Hidden and system files are passed over, and so is what has no ending of an image; a notice
    says so.
    """
    if path.is_dir():
        found = walk(path)
        return _image_files(path, found.files, found.hidden, lambda name: _read(path / name))
    with opened_zip(path) as members:
        return _image_files(path, members.files, members.hidden, members.read)


def _image_files(
    path: Path, files: Iterable[str], hidden: Sequence[str], read: Callable[[str], bytes]
) -> ImageFiles:
    images: list[str] = []
    others: list[str] = []
    for name in files:
        (images if splitext(name)[1].lower() in SUFFIXES else others).append(name)
    labels = labels_name(others, path)
    if hidden:
        notice(
            f"{path}: passed over {len(hidden)} hidden or system file(s) or folder(s): "
            f"{shown_names(hidden)}"
        )
    if unread := [name for name in others if name != labels]:
        notice(
            f"{path}: passed over {len(unread)} file(s) without the ending of an image that is "
            f"read: {shown_names(unread)}"
        )
    if not images:
        raise InputError(
            f"{path} holds no images; expected files ending in {', '.join(sorted(SUFFIXES))}"
        )
    classes = None if labels is None else read_labels(read(labels), labels, images, path)
    return ImageFiles(path, tuple(images), classes)


def _read(path: Path) -> bytes:
    try:
        if (size := path.stat().st_size) > MAX_MEMBER_BYTES:
            raise InputError(
                f"{path} has {size} bytes; expected images of at most {MAX_MEMBER_BYTES}"
            )
        return path.read_bytes()
    except OSError as error:
        raise InputError(
            f"{path} can't be read ({error.strerror or error}); give yourself permission to"
        ) from error
