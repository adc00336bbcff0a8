"""A folder that is replaced as a whole, and only where all that is in it was put there by us."""

import shutil
from collections.abc import Mapping
from pathlib import Path

from fpmc_bench.errors import DiskError, UsageError
from fpmc_bench.storage.temporary import remove_forgotten, temporary_path

LISTING = ".fpmc-bench-site"
"""The file that lists all others of a site."""


def refuse_unless_ours(out: Path) -> None:
    """UsageError where `out` is there and is no folder, or holds files that no site put there."""
    if out.is_symlink() or (out.exists() and not out.is_dir()):
        raise UsageError(f"{out} is no folder; choose another --out")
    there = {path.relative_to(out).as_posix() for path in out.rglob("*") if not path.is_dir()}
    if not there:
        return
    ours = {LISTING}
    if LISTING in there:
        ours |= set((out / LISTING).read_text(encoding="utf-8", errors="replace").splitlines())
    if strange := sorted(there - ours):
        raise UsageError(
            f"{out} holds {strange[0]!r}, which is no part of a site that was written there, and a "
            f"site replaces its folder as a whole; choose another --out"
        )


def write_folder(out: Path, files: Mapping[str, bytes]) -> None:
    """Put `files`, by their paths inside it, into a folder of that name, in place of what it held.

    UsageError as `refuse_unless_ours`; DiskError where it can't be written.
    """
    refuse_unless_ours(out)
    beside = temporary_path(out)
    listing = "".join(f"{path}\n" for path in sorted(files)).encode()
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        for name, content in {LISTING: listing, **files}.items():
            path = beside / "new" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
        if out.exists():
            out.rename(beside / "old")
        (beside / "new").rename(out)
        remove_forgotten(out.parent)
    except OSError as error:
        raise DiskError(f"{out} can't be written ({error.strerror or error})") from error
    finally:
        shutil.rmtree(beside, ignore_errors=True)
