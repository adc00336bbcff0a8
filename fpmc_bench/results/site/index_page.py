"""The page that leads to all leaderboards: a card each."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from markupsafe import Markup

from fpmc_bench.results.site.board import Board
from fpmc_bench.results.site.galleries import Gallery, SampleRow
from fpmc_bench.results.site.pages import page
from fpmc_bench.results.site.thumbnail import thumbnail
from fpmc_bench.results.site.views import RowView, rows_of
from fpmc_bench.results.table import Table


@dataclass(frozen=True)
class CardPart:
    """One protocol on a card; None for what there is none of."""

    table: Table
    drawing: Markup
    best: RowView | None
    gallery: Gallery | None

    @property
    def best_samples(self) -> SampleRow | None:
        """Those of the best entry."""
        rows = self.gallery.rows if self.gallery and self.best else ()
        name = self.best.row.entry if self.best else ""
        return next((row for row in rows if row.label == name), None)


def index_page(boards: Sequence[tuple[Board, Mapping[str, Gallery]]]) -> bytes:
    """Its HTML, of leaderboards with their samples by protocol."""
    cards = [
        (board, [_part(table, shown.get(table.protocol)) for table in board.tables])
        for board, shown in boards
    ]
    return page("index.html", root="", cards=cards)


def _part(table: Table, gallery: Gallery | None) -> CardPart:
    best = next((view for view in rows_of(table, in_ones=True) if view.row.rank == 1), None)
    return CardPart(table, thumbnail(table), best, gallery)
