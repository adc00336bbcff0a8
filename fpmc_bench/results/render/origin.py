"""What a figure says of itself: the key of all it was drawn from, and the library that drew it.

Two versions of a plotting library draw the same numbers otherwise, by a pixel here and there, so
that pixels are compared only with those of the same version; the key is compared always.
"""

import hashlib
import io
import re
from collections.abc import Mapping
from dataclasses import dataclass
from html import unescape

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from fpmc_bench.errors import RunError
from fpmc_bench.results.table import Table
from fpmc_bench.storage.keys import content_key

SOURCE, SOFTWARE = "Source", "Software"
"""Of the metadata of a PNG; an SVG has `dc:source`, and who made it, `dc:creator`."""
SVG_SOURCE = re.compile(rb"<dc:source>([^<]*)</dc:source>")
SVG_CREATOR = re.compile(rb"<dc:creator>\s*<cc:Agent>\s*<dc:title>([^<]*)</dc:title>")


@dataclass(frozen=True)
class Origin:
    """`key` of what was drawn, and `software`, as "matplotlib 3.11.2"; "" for what is not said."""

    key: str
    software: str


def key_of_table(table: Table) -> str:
    """Of the numbers that figures of a table show, and the names beside them."""
    return content_key(
        {
            "suite": [table.suite, table.suite_fingerprint, table.protocol, table.reference],
            "items": table.items,
            "groups": table.groups,
            "sigmas": table.sigmas,
            "rows": [
                [
                    *(row.entry, row.rank, row.best),
                    {metric: figure.model_dump() for metric, figure in row.figures.items()},
                    [figure.model_dump() for figure in row.by_sigma],
                    row.seconds_per_query,
                ]
                for row in table.rows
            ],
            "failed": [row.entry for row in table.failed],
        }
    )


def key_of_images(rows: Mapping[str, NDArray[np.floating]]) -> str:
    """Of images side by side: label -> [n,C,H,W]."""
    return content_key(
        [
            [label, str(images.dtype), images.shape, hashlib.sha256(images.tobytes()).hexdigest()]
            for label, images in rows.items()
        ]
    )


def origin_of(picture: bytes) -> Origin:
    """What a PNG or an SVG says of itself; RunError for what is neither."""
    if picture.startswith(b"\x89PNG"):
        try:
            with Image.open(io.BytesIO(picture), formats=["PNG"]) as image:
                said = image.info
        except Exception as error:  # damage makes Pillow raise anything
            raise RunError(f"it is no PNG ({type(error).__name__}: {error})") from error
        return Origin(str(said.get(SOURCE, "")), str(said.get(SOFTWARE, "")))
    if b"<svg" not in picture[:2000]:
        raise RunError("it is neither a PNG nor an SVG")
    found = [pattern.search(picture) for pattern in (SVG_SOURCE, SVG_CREATOR)]
    key, software = (unescape(one[1].decode("utf-8", "replace")) if one else "" for one in found)
    return Origin(key, software)
