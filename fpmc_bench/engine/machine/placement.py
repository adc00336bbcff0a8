"""Where source images lie while they are compared: on the GPU if they fit, else where they are.

On a processor they stay as they were given, which may be a memory-mapped file; blocks become
floats one at a time. A GPU that has room for them twice over gets them once, as bytes, and keeps
them as long as the source lives; for a larger source every block is sent when its turn comes.
"""

from weakref import WeakKeyDictionary

import torch

from fpmc_bench.fpmc.source import Source

_resident: "WeakKeyDictionary[Source, dict[str, Source]]" = WeakKeyDictionary()


def placed(source: Source, device: torch.device) -> Source:
    """The source with its images on `device` where that is a GPU with room for them."""
    if device.type != "cuda" or source.device.type == "cuda":
        return source
    copies = _resident.setdefault(source, {})
    if str(device) not in copies:
        free_bytes, _ = torch.cuda.mem_get_info(device)
        if 2 * source.nbytes > free_bytes:
            return source
        copies[str(device)] = source.mapped(lambda images: images.to(device))
    return copies[str(device)]
