"""A run under the definitions of others, as text and as JSON."""

import json
import math
import textwrap

import pandas as pd
from tabulate import tabulate

from fpmc_bench.documents.text import one_line
from fpmc_bench.results.published import PublishedRow, PublishedTable
from fpmc_bench.results.render.cells import NO_RANK
from fpmc_bench.results.render.csv import as_csv
from fpmc_bench.results.render.numbers import significant

WIDTH_COLUMNS = 100
DIGITS = 3


def render_published(*tables: PublishedTable) -> str:
    """One below the other."""
    return "\n\n".join(map(_rendered, tables)) + "\n"


def _rendered(table: PublishedTable) -> str:
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


def published_csv(*tables: PublishedTable) -> str:
    """A line a row; of every definition its figure, and the rank by it."""
    lines = [
        {
            "suite": table.suite,
            "protocol": table.protocol,
            "entry": row.label,
            "rank": row.rank,
            **{
                column: number
                for one, value, rank in zip(table.definitions, row.figures, row.ranks, strict=True)
                for column, number in ((one.name, value), (f"{one.name} rank", rank))
            },
        }
        for table in tables
        for row in table.rows
    ]
    frame = pd.DataFrame(lines)
    ranks = [name for name in frame.columns if name.endswith("rank")]
    return as_csv(frame.astype(dict.fromkeys(ranks, "Int64")))


def _rank(rank: int | None) -> str:
    return NO_RANK if rank is None else str(rank)


def _moved(row: PublishedRow, rank: int | None) -> str:
    """An arrow and by how many places, where the rank is another."""
    if rank is None or row.rank is None or rank == row.rank:
        return ""
    return f"↑{row.rank - rank}" if rank < row.rank else f"↓{rank - row.rank}"
