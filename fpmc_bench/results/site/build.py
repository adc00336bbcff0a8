"""`fpmc-bench leaderboard site`: leaderboards -> a folder of pages that needs no server.

    index.html                        all leaderboards
    suites/NAME/index.html            one: tables, charts, samples, downloads
    suites/NAME/entries/ENTRY.html    one row of it, under all protocols
    suites/NAME/{images,files}/       PNGs; records and tables to take away
    assets/                           style, scripts, and plotly's, once for all pages

All is made in memory and then replaces the folder. The same records give the same bytes.
"""

from collections.abc import Mapping
from importlib.resources import files as package_files
from pathlib import Path

from plotly.offline import get_plotlyjs

from fpmc_bench.results.site.board import Board, read_boards
from fpmc_bench.results.site.downloads import records_to_take, tables_to_take
from fpmc_bench.results.site.entry_page import entry_page
from fpmc_bench.results.site.galleries import Gallery, galleries
from fpmc_bench.results.site.index_page import index_page
from fpmc_bench.results.site.journeys import journeys, journeys_of
from fpmc_bench.results.site.output import refuse_unless_ours, write_folder
from fpmc_bench.results.site.suite_page import suite_page

ASSETS = package_files("fpmc_bench.results.site") / "assets"


def build_site(directory: Path, out: Path) -> list[Board]:
    """Write the site of all leaderboards in `directory`, or of the one that it is, to `out`.

    RunError for records that are damaged, altered or mixed; UsageError where `out` holds anything
    but an earlier site; DiskError where it can't be written. In each case nothing is changed.
    """
    refuse_unless_ours(out)
    boards = read_boards(directory)
    site = {f"assets/{asset.name}": asset.read_bytes() for asset in ASSETS.iterdir()}
    site["assets/plotly.min.js"] = get_plotlyjs().encode()
    cards = []
    for board in boards:
        files: dict[str, bytes] = {}
        shown = galleries(board, files)
        cards.append((board, shown))
        files |= board_files(board, shown)
        site |= {f"suites/{board.slug}/{path}": content for path, content in files.items()}
    site["index.html"] = index_page(cards)
    write_folder(out, site)
    return boards


def board_files(board: Board, shown: Mapping[str, Gallery]) -> dict[str, bytes]:
    """All files of one leaderboard but those of its samples, by their paths inside its folder."""
    files: dict[str, bytes] = {}
    tables, records = tables_to_take(board, files), records_to_take(board, files)
    ways = journeys(board, files)
    files["index.html"] = suite_page(board, shown, ways, tables, records)
    for entry in board.entries:
        own = journeys_of(ways, entry)
        files[board.entry_path(entry)] = entry_page(board, entry, shown, own, records[entry], files)
    return files
