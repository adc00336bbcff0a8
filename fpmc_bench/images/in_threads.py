"""Going through all images of a zip or folder, in order, by several threads."""

import os
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from typing import TypeVar

from tqdm import tqdm

from fpmc_bench.images.files import ImageFiles

AT_ONCE = 64
"""Images whose contents are held together."""

Result = TypeVar("Result")


def in_threads(
    files: ImageFiles, work: Callable[[str, bytes], Result], label: str
) -> Iterator[Result]:
    """`work(name, content)` of every image, in order; raises what it raises.

    With a progress bar of the main process, where there is a terminal.
    """
    contents = files.contents()
    hidden = True if os.environ.get("RANK", "0") != "0" else None
    with (
        ThreadPoolExecutor() as threads,
        tqdm(total=len(files.names), desc=label, unit="image", disable=hidden, leave=False) as bar,
    ):
        while batch := list(islice(contents, AT_ONCE)):
            for result in threads.map(work, *zip(*batch, strict=True)):
                yield result
                bar.update()
