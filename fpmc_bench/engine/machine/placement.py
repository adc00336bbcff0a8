"""Where source images lie while they are compared: on the GPU if they fit, else where they are.

On a processor they stay as they were given, which may be a memory-mapped file; blocks become
floats one at a time. A GPU that has room for them twice over gets them once, as bytes, and keeps
them as long as the source lives; for a larger source every block is sent when its turn comes. The
training images are part of every union with what was made of them, and lie there once for all.
"""

import logging
from weakref import WeakKeyDictionary

import torch

from fpmc_bench.fpmc.source import Source
from fpmc_bench.fpmc.union import Union

log = logging.getLogger(__name__)

_placed: "WeakKeyDictionary[Source, dict[str, Source | None]]" = WeakKeyDictionary()
"""By device; None where the source had no room there, which is found out once."""


def placed(source: Source, device: torch.device) -> Source:
    """The source with its images on `device` where that is a GPU with room for them."""
    if device.type != "cuda" or source.device.type == "cuda":
        return source
    known = _placed.setdefault(source, {})
    if str(device) not in known:
        known[str(device)] = _copy(source, device)
    there = known[str(device)]
    return source if there is None else there


def has_room(source_bytes: int, room_bytes: int) -> bool:
    """Whether a source may lie where so much is free: half of that is for work."""
    return 2 * source_bytes <= room_bytes


def _copy(source: Source, device: torch.device) -> Source | None:
    """The source on a GPU; None, after a line in the log, where it has no room."""
    missing, room = _missing_bytes(source, device), room_bytes(device)
    if not has_room(missing, room):
        log.warning(
            "%d source images stay off %s: they take %d MiB and %d are free, of which half is for "
            "work; blocks of them are sent when their turn comes",
            len(source),
            device,
            missing >> 20,
            room >> 20,
        )
        return None
    if not isinstance(source, Union):
        return source.mapped(lambda images: images.to(device))
    parts = [placed(part, device) for part in source.parts]
    if any(part.device.type != "cuda" for part in parts):  # one had no room, now or earlier
        return None
    return Union(parts, source.original)


def _missing_bytes(source: Source, device: torch.device) -> int:
    """Of what is not there yet."""
    if _placed.get(source, {}).get(str(device)) is not None:
        return 0
    if isinstance(source, Union):
        return sum(_missing_bytes(part, device) for part in source.parts)
    return source.nbytes


def room_bytes(device: torch.device) -> int:
    """What the driver has free, and what torch holds of this process and does not use."""
    free_bytes, _ = torch.cuda.mem_get_info(device)
    held_bytes = torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
    return free_bytes + held_bytes
