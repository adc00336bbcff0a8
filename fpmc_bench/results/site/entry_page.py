"""The page of an entry, or of a network that has a row: all that is known of it, in one place."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from fpmc_bench.documents.attestation import Attestation
from fpmc_bench.documents.record import Figure, Record
from fpmc_bench.results.board.registered import registered_suite
from fpmc_bench.results.render.colours import Look, looks_of
from fpmc_bench.results.site.board import Board
from fpmc_bench.results.site.charts import relative_to
from fpmc_bench.results.site.commands import run_command, verify_command
from fpmc_bench.results.site.downloads import Download
from fpmc_bench.results.site.galleries import Gallery
from fpmc_bench.results.site.journeys import Journey
from fpmc_bench.results.site.pages import page
from fpmc_bench.results.site.views import (
    RowView,
    other_parameters,
    provenance_facts,
    rows_of,
    schedules,
)
from fpmc_bench.results.site.worst import WORST, WorstImages, worst_images
from fpmc_bench.results.table import Table
from fpmc_bench.results.worst import WorstItem, worst_of


@dataclass(frozen=True)
class EntryPart:
    """What it is under one protocol; `ratios` are to the other network, empty without levels."""

    table: Table
    view: RowView
    record: Record
    attestation: Attestation | None
    look: Look
    ratios: Sequence[Figure]
    gallery: Gallery | None
    worst: Sequence[WorstItem]
    images: WorstImages | None
    facts: Sequence[tuple[str, str]]


def entry_page(
    board: Board,
    entry: str,
    shown: Mapping[str, Gallery],
    ways: Sequence[Journey],
    downloads: Sequence[Download],
    files: dict[str, bytes],
) -> bytes:
    """Its HTML; samples come by protocol. PNGs of its worst items are added to `files`."""
    parts = [_part(board, entry, table, shown, files) for table in board.tables_of(entry)]
    record = parts[0].record
    return page(
        "entry.html",
        root="../../../",
        up="../",
        board=board,
        entry=entry,
        parts=parts,
        record=record,
        schedules=schedules(record),
        parameters=other_parameters(record),
        run=run_command(record, registered_suite(record.suite)),
        verify=verify_command(board.name, record),
        ways=ways,
        downloads=downloads,
    )


def _part(
    board: Board,
    entry: str,
    table: Table,
    shown: Mapping[str, Gallery],
    files: dict[str, bytes],
) -> EntryPart:
    record, values = board.records[entry, table.protocol]
    gallery = shown.get(table.protocol)
    return EntryPart(
        table,
        next(view for view in rows_of(table, in_ones=True) if view.row.entry == entry),
        record,
        board.attestations.get(record.stem),
        looks_of(table)[entry],
        _ratios(board, entry, table),
        gallery.of(entry) if gallery else None,
        worst_of(record, values, WORST),
        worst_images(board, entry, table.protocol, files),
        provenance_facts(record),
    )


def _ratios(board: Board, entry: str, table: Table) -> list[Figure]:
    other = next((row.entry for row in table.rows if row.rank is None), None)
    if other is None or not table.sigmas:
        return []
    return relative_to(board.values(entry, table.protocol), board.values(other, table.protocol))
