"""Going through all images of a zip or folder, in order, by several threads."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from PIL import Image

from fpmc_bench.errors import InputError
from fpmc_bench.images.decoding import opened
from fpmc_bench.images.files import ImageFiles
from fpmc_bench.launched import is_main
from fpmc_bench.telling.bars import Bar

AT_ONCE = 64
"""Images that are decoded together, unless that would take more than"""
BYTES_AT_ONCE = 2**28
BYTES_OF_A_PIXEL = 14
"""With all copies that are made on the way from a file to its codes."""

Result = TypeVar("Result")


def in_threads(
    files: ImageFiles, work: Callable[[str, Image.Image], Result], label: str
) -> Iterator[Result | InputError]:
    """`work(name, opened image)` of every image, in order, or the InputError with which it ended.

    The main process shows how far they are.
    """

    def attempt(name: str, image: Image.Image | InputError) -> Result | InputError:
        if isinstance(image, InputError):
            return image
        try:
            return work(name, image)
        except InputError as error:
            return error

    with (
        ThreadPoolExecutor() as threads,
        Bar(label, len(files.names), "image", hidden=not is_main(), brief=True) as bar,
    ):
        for batch in _batches(files):
            for result in threads.map(attempt, *zip(*batch, strict=True)):
                yield result
                bar.advance()


def _batches(files: ImageFiles) -> Iterator[list[tuple[str, Image.Image | InputError]]]:
    """Names to show, each with its image, not decoded yet, or with what is wrong with it."""
    batch: list[tuple[str, Image.Image | InputError]] = []
    held = 0
    with files.reader() as read:
        for name in files.names:
            shown, image, size = _opened(files.shown(name), name, read)
            if batch and (len(batch) == AT_ONCE or held + size > BYTES_AT_ONCE):
                yield batch
                batch, held = [], 0
            batch.append((shown, image))
            held += size
    if batch:
        yield batch


def _opened(
    shown: str, name: str, read: Callable[[str], bytes]
) -> tuple[str, Image.Image | InputError, int]:
    """(name to show, image or error, the bytes that it will take)."""
    try:
        content = read(name)
        image = opened(content, shown)
    except InputError as error:
        return shown, error, 0
    return shown, image, len(content) + image.width * image.height * BYTES_OF_A_PIXEL
