"""The memory and the disk that this machine has left, and refusing what is larger.

Only what is certain is refused: what may be too much is said in a line, and tried.
"""

import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path

import psutil

from fpmc_bench.errors import RunError

SPARE_BYTES = 2**28
"""Of a disk: what a run leaves to everything else."""
CGROUPS, OWN = Path("/sys/fs/cgroup"), Path("/proc/self/cgroup")
LIMITS = (
    ("memory.max", "memory.current", "inactive_file"),
    ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file"),
)
"""Of version 2 and of version 1: the limit, what is used, and in memory.stat what of it is files
that the system lets go when it has to."""


def free_memory() -> int:
    """Bytes that processes can still take here: of the machine, and of what a container or a
    scheduler's job may use."""
    return min([psutil.virtual_memory().available, *_left_by_cgroups(CGROUPS, OWN)])


def free_disk(folder: Path) -> int:
    """Bytes where a folder is, or is to be made."""
    return shutil.disk_usage(_there(folder)).free


def refuse_full_disk(needs: Mapping[Path, int], said: str, advice: str) -> None:
    """RunError where folders are to take more bytes than their disks have, less a spare part.

    `said` is what takes them, `advice` what to do beside making room. Folders on one disk take
    from it together.
    """
    disks: dict[int, list[Path]] = {}
    for folder in needs:
        disks.setdefault(_there(folder).stat().st_dev, []).append(folder)
    for folders in disks.values():
        needed, free = sum(needs[folder] for folder in folders), free_disk(folders[0])
        if needed and needed + SPARE_BYTES > free:
            raise RunError(
                f"{said}; but {sized(free)} are free in {folders[0]}, of which "
                f"{sized(SPARE_BYTES)} are spared: make room, or {advice}"
            )


def sized(size: int) -> str:
    """Bytes for a reader: 12 MiB, 3.4 GiB; no less than it is."""
    if size < 2**30:
        return f"{-(-size // 2**20)} MiB"
    return f"{-(-size * 10 // 2**30) / 10:.1f} GiB"


def _there(folder: Path) -> Path:
    return next(one for one in (folder, *folder.absolute().parents) if one.exists())


def _left_by_cgroups(root: Path, own: Path) -> Iterator[int]:
    """Of this process's group and of each above it that has a limit."""
    try:
        lines = own.read_text(encoding="utf-8").splitlines()
    except (OSError, ValueError):
        return
    for line in lines:
        _, controllers, place = line.split(":", 2)
        if controllers not in ("", "memory"):
            continue
        top = root / controllers
        group = top / place.lstrip("/")
        for folder in (group, *group.parents):
            if folder.is_relative_to(top):
                yield from _left_in(folder)


def _left_in(group: Path) -> Iterator[int]:
    for limit, used, files in LIMITS:
        try:
            most, now = ((group / name).read_text(encoding="utf-8") for name in (limit, used))
            stat = (group / "memory.stat").read_text(encoding="utf-8")
            let_go = dict(line.split() for line in stat.splitlines()).get(files, "0")
            yield max(0, int(most) - int(now) + int(let_go))  # int("max") is no limit
        except (OSError, ValueError):
            continue
