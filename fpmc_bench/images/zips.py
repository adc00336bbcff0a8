"""Zip archives from strangers: found fit before a member is expanded, and never unpacked."""

import zipfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from fpmc_bench.errors import InputError
from fpmc_bench.images.web_page import is_web_page
from fpmc_bench.storage.walking import hidden_part, tidy_name

MAX_MEMBER_BYTES = 2**28
MAX_EXPANSION = 20
"""A zip may hold so many times its own size (images are compressed already: about once)."""
SMALL_BYTES = 2**20
"""Below this a ratio says nothing."""
EXPANDED = frozenset({zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED})
"""Of these zipfile expands no more than a member states; of bzip2 and LZMA whatever there is."""
OTHER_METHODS = {9: "Deflate64", 12: "bzip2", 14: "LZMA", 93: "Zstandard", 95: "XZ", 98: "PPMd"}
ENCRYPTED = 1
"""The bit of a member's flags."""


@dataclass(frozen=True)
class ZipMembers:
    """Files of an open archive by their names, with slashes, in the order of names.

    `hidden` are those that were passed over: of systems or hidden, folders for all they hold.
    """

    archive: zipfile.ZipFile
    path: Path
    files: Mapping[str, zipfile.ZipInfo]
    hidden: tuple[str, ...]

    def read(self, name: str) -> bytes:
        """The content of a file; InputError where it is damaged."""
        try:
            return self.archive.read(self.files[name])  # no more than it states, which is checked
        except Exception as error:  # zlib.error and its kin, one for each way to compress
            raise InputError(
                f"{self.path}: {name} is cut short or damaged ({error}); download the archive again"
            ) from error


@contextmanager
def opened_zip(path: Path) -> Iterator[ZipMembers]:
    """An archive whose members were all found fit; InputError says what is wrong and what to do."""
    try:
        archive = zipfile.ZipFile(path)
    except OSError as error:
        raise InputError(f"{path} can't be read ({error.strerror or error})") from error
    except Exception as error:  # BadZipFile, and what damaged bytes raise besides
        raise InputError(f"{path} {_what_instead(path, error)}") from error
    with archive:
        yield _members(archive, path)


def _what_instead(path: Path, error: Exception) -> str:
    with path.open("rb") as file:
        head = file.read(512)
    if is_web_page(head):
        return (
            "is a web page, not a zip: the link answered with a page about the file; download the "
            "file itself"
        )
    return f"is no zip, or was cut short ({error}); download it again"


def _members(archive: zipfile.ZipFile, path: Path) -> ZipMembers:
    files: dict[str, zipfile.ZipInfo] = {}
    hidden: set[str] = set()
    for member in archive.infolist():
        name = _name(member, path)
        if (part := hidden_part(name)) is not None:
            hidden.add(part)
        elif member.filename.endswith(("/", "\\")):
            continue  # a folder
        elif name in files:
            raise InputError(
                f"{path} holds two members named {name}, and which is meant nobody knows; pack it "
                f"anew"
            )
        else:
            files[name] = member
    _refuse_unfit(files, path)
    return ZipMembers(archive, path, dict(sorted(files.items())), tuple(sorted(hidden)))


def _name(member: zipfile.ZipInfo, path: Path) -> str:
    spelled = member.filename.replace("\\", "/")
    if spelled.startswith("/") or ".." in spelled.split("/") or ":" in spelled.partition("/")[0]:
        raise InputError(
            f"{path} names a place outside of itself, {member.filename!r}: it is not to be "
            f"trusted; get the archive from its publisher"
        )
    return tidy_name(spelled)


def _refuse_unfit(files: Mapping[str, zipfile.ZipInfo], path: Path) -> None:
    """InputError for a file that is encrypted, compressed in another way, or large if expanded."""
    total, stored = 0, path.stat().st_size
    for name, member in files.items():
        if member.flag_bits & ENCRYPTED:
            raise InputError(f"{path}: {name} is encrypted; expected plain images")
        if member.compress_type not in EXPANDED:
            method = OTHER_METHODS.get(member.compress_type, f"method {member.compress_type}")
            raise InputError(
                f"{path}: {name} is compressed by {method}, which is not expanded here; "
                f"unpack the archive and give its folder to image-folder, or pack it anew with "
                f"plain Deflate"
            )
        if member.file_size > MAX_MEMBER_BYTES:
            raise InputError(
                f"{path}: {name} would expand to {member.file_size} bytes; expected images of at "
                f"most {MAX_MEMBER_BYTES}"
            )
        if member.compress_size > stored:  # for so much zipfile would make room
            raise InputError(f"{path}: {name} is cut short or damaged; download the archive again")
        total += member.file_size
    if total > max(SMALL_BYTES, MAX_EXPANSION * stored):
        raise InputError(
            f"{path} would expand to {total} bytes, more than {MAX_EXPANSION} times its size: "
            f"images don't compress like that, so it is not to be trusted"
        )
