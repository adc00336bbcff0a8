"""What a site offers to take away: the records as they are, and the tables made of them."""

from collections.abc import Mapping
from dataclasses import dataclass

from fpmc_bench.documents.attestation import SUFFIX
from fpmc_bench.errors import RunError
from fpmc_bench.results.render.csv import render_csv, render_sigma_csv
from fpmc_bench.results.render.json import render_json
from fpmc_bench.results.render.latex import render_latex
from fpmc_bench.results.site.board import Board
from fpmc_bench.results.table import Table

SUFFIXES = (".json", ".npz", SUFFIX)
"""Of a record, its per-item values, and what attests it: all of them were read, and checked."""


@dataclass(frozen=True)
class Download:
    """A file, by its path inside the board's folder."""

    path: str
    size: int

    @property
    def name(self) -> str:
        return self.path.rpartition("/")[2]


def tables_to_take(board: Board, files: dict[str, bytes]) -> dict[str, list[Download]]:
    """By protocol, CSV, JSON and LaTeX of its table; they are added to `files`."""
    return {table.protocol: _added(_rendered(table), files) for table in board.tables}


def records_to_take(board: Board, files: dict[str, bytes]) -> dict[str, list[Download]]:
    """By entry, its records and per-item values, byte by byte; they are added to `files`.

    RunError where one can no longer be read.
    """
    found: dict[str, list[Download]] = {}
    for (entry, protocol), _ in board.records.items():
        contents = {}
        for suffix in SUFFIXES:
            path = board.records_folder / f"{entry}.{protocol}{suffix}"
            if not path.is_file():  # a row that nobody has attested
                continue
            try:
                contents[f"files/records/{path.name}"] = path.read_bytes()
            except OSError as error:
                raise RunError(f"{path} can't be read ({error.strerror or error})") from error
        found.setdefault(entry, []).extend(_added(contents, files))
    return found


def _added(contents: Mapping[str, bytes], files: dict[str, bytes]) -> list[Download]:
    files.update(contents)
    return [Download(path, len(content)) for path, content in contents.items()]


def _rendered(table: Table) -> dict[str, bytes]:
    name = f"files/tables/{table.protocol}"
    texts = {f"{name}.csv": render_csv(table)}
    if table.sigmas:
        texts[f"{name}-by-sigma.csv"] = render_sigma_csv(table)
    texts[f"{name}.json"] = render_json(table)
    texts[f"{name}.tex"] = render_latex(table)
    return {path: text.encode() for path, text in texts.items()}
