"""A run under the definitions of others, as text and as JSON."""

import json
import math
import textwrap

from tabulate import tabulate

from fpmc_bench.documents.text import one_line
from fpmc_bench.results.published import PublishedRow, PublishedTable
from fpmc_bench.results.render.cells import NO_RANK
from fpmc_bench.results.render.numbers import significant

WIDTH_COLUMNS = 100
DIGITS = 3


def render_published(table: PublishedTable) -> str:
    """A column a definition: its figure, the rank by it, and by how many places that is another."""
    lines = [
        [
            _rank(row.rank),
            one_line(row.label if row.rank else f"{row.label} (other network)"),
            *(
                text
                for figure, rank in zip(row.figures, row.ranks, strict=True)
                for text in (significant(figure, DIGITS), f"{_rank(rank)} {_moved(row, rank)}")
            ),
        ]
        for row in table.rows
    ]
    headers = ["rank", "entry"]
    for one in table.definitions:
        headers += [one.name, "#"]
    aligned = ["right", "left", *["right", "left"] * len(table.definitions)]
    text = tabulate(lines, headers=headers, disable_numparse=True, colalign=aligned)
    caption = "\n".join(textwrap.fill(one_line(one), WIDTH_COLUMNS) for one in table.caption)
    return f"{one_line(table.suite)}: {table.protocol} as others publish\n\n{text}\n\n{caption}"


def published_json(*tables: PublishedTable) -> str:
    """A list of tables: every row with its figures and ranks by definition."""
    content = [
        {
            "suite": table.suite,
            "protocol": table.protocol,
            "definitions": [
                {"name": one.name, "source": one.source, "meaning": one.meaning}
                for one in table.definitions
            ],
            "rows": [
                {
                    "entry": row.label,
                    "rank": row.rank,
                    "figures": {
                        one.name: {"value": value if math.isfinite(value) else None, "rank": rank}
                        for one, value, rank in zip(
                            table.definitions, row.figures, row.ranks, strict=True
                        )
                    },
                }
                for row in table.rows
            ],
        }
        for table in tables
    ]
    return json.dumps(content, indent=2, allow_nan=False) + "\n"


def _rank(rank: int | None) -> str:
    return NO_RANK if rank is None else str(rank)


def _moved(row: PublishedRow, rank: int | None) -> str:
    """An arrow and by how many places, where the rank is another."""
    if rank is None or row.rank is None or rank == row.rank:
        return ""
    return f"↑{row.rank - rank}" if rank < row.rank else f"↓{rank - row.rank}"
