"""The page of a leaderboard."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from fpmc_bench.results.render.cells import notes
from fpmc_bench.results.render.colours import Look, looks_of
from fpmc_bench.results.render.latex import render_latex
from fpmc_bench.results.site.board import Board
from fpmc_bench.results.site.charts import cost, curves, forest, relative_curves
from fpmc_bench.results.site.downloads import Download
from fpmc_bench.results.site.galleries import Gallery
from fpmc_bench.results.site.journeys import Journey
from fpmc_bench.results.site.pages import page
from fpmc_bench.results.site.plots import Chart
from fpmc_bench.results.site.views import RowView, heads_of, rows_of
from fpmc_bench.results.site.worst import WORST
from fpmc_bench.results.table import Table
from fpmc_bench.results.worst import WorstItem, worst_of


@dataclass(frozen=True)
class Part:
    """One protocol's part of it."""

    table: Table
    heads: Sequence[str]
    rows: Sequence[RowView]
    notes: Sequence[str]
    looks: Mapping[str, Look]
    charts: Sequence[Chart]
    gallery: Gallery | None
    worst: Mapping[str, Sequence[WorstItem]]
    latex: str
    downloads: Sequence[Download]


def suite_page(
    board: Board,
    shown: Mapping[str, Gallery],
    ways: Sequence[Journey],
    tables: Mapping[str, Sequence[Download]],
    records: Mapping[str, Sequence[Download]],
) -> bytes:
    """Its HTML; samples and tables come by protocol, records by entry."""
    parts = [
        _part(board, table, shown.get(table.protocol), tables[table.protocol])
        for table in board.tables
    ]
    return page(
        "suite.html", root="../../", up="", board=board, parts=parts, ways=ways, records=records
    )


def _part(
    board: Board, table: Table, gallery: Gallery | None, downloads: Sequence[Download]
) -> Part:
    looks = looks_of(table)
    return Part(
        table,
        heads_of(table),
        rows_of(table),
        (*table.caption[:1], *notes(table)),
        looks,
        _charts(board, table, looks),
        gallery,
        {
            row.entry: worst_of(*board.records[row.entry, table.protocol], WORST)
            for row in table.rows
        },
        render_latex(table),
        downloads,
    )


def _charts(board: Board, table: Table, looks: Mapping[str, Look]) -> list[Chart]:
    charts = [forest(table, looks), cost(table, looks)]
    if table.sigmas:
        values = {row.entry: board.values(row.entry, table.protocol) for row in table.rows}
        relative = relative_curves(table, values, looks)
        charts += [curves(table, looks), *([relative] if relative else [])]
    return charts
