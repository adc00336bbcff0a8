"""A data set's images have to be those of its name."""

from pathlib import Path

from fpmc_bench.errors import InputError
from fpmc_bench.images import StoredImages


def checked_shape(stored: StoredImages, shape: tuple[int, int, int], path: Path, name: str) -> None:
    """InputError where images are not [C,H,W] = `shape`."""
    found = tuple(stored.codes.shape[1:])
    if found != shape:
        (c, h, w), (channels, height, width) = found, shape
        raise InputError(
            f"{path} holds {w}x{h} images of {c} channel(s), but '{name}' has {width}x{height} of "
            f"{channels}; 'fpmc-bench data prepare' makes small images of a folder of large ones"
        )
