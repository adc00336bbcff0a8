"""`fpmc-bench compare`: rows against each other, item by item."""

from pathlib import Path

import click

from fpmc_bench.cli.common import format_option, protocol_option
from fpmc_bench.cli.printing import PrintingCommand, echo
from fpmc_bench.errors import UsageError

FORMATS = ("terminal", "csv", "json")


@click.command(cls=PrintingCommand)
@click.argument("rows", nargs=-1, required=True, metavar="A B [C]...")
@click.option(
    "--in",
    "folder",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="The run directory, or folder of records, that entries are of.",
)
@protocol_option("Only under this protocol.")
@click.option("--metric", default="mse@1", show_default=True, help="As records name it.")
@click.option("--by-sigma", is_flag=True, help="At every noise level, and not over all of them.")
@click.option(
    "--as-published",
    is_flag=True,
    help="All rows named under the definitions that others publish by, and how ranks change.",
)
@format_option(FORMATS, "comparisons")
@click.option("--json", "as_json", is_flag=True, help="Print JSON: the same as --format json.")
@click.option("--csv", "as_csv", is_flag=True, help="Print CSV: the same as --format csv.")
def compare(
    rows: tuple[str, ...],
    folder: Path | None,
    protocol: str | None,
    metric: str,
    by_sigma: bool,
    as_published: bool,
    form: str,
    as_json: bool,
    as_csv: bool,
) -> None:
    """Compare rows item by item: which is better, how surely, and what it would take to be sure.

    \b
    fpmc-bench compare ls els --in runs/digits        two entries of one run
    fpmc-bench compare ls els optimal --in runs/digits      all pairs of three
    fpmc-bench compare ls@runs/mine ls@runs/yours     one entry of two runs
    fpmc-bench compare runs/mine runs/yours           all rows that both have
    fpmc-bench compare a/records/ls.denoiser-mse.json b/records/els.denoiser-mse.json
    fpmc-bench compare runs/mine --as-published       all rows, as others would measure them

    Rows must have been measured on the same items: what differs is named, and refused. Items of one
    picture count together where the dataset says so. --as-published needs the predictions that
    `run --keep-predictions` has left.
    """
    from fpmc_bench.results import compare as comparing
    from fpmc_bench.results.published import published_tables
    from fpmc_bench.results.render.comparison import render_csv, render_json, render_text
    from fpmc_bench.results.render.published import (
        published_csv,
        published_json,
        render_published,
    )
    from fpmc_bench.results.sides import left_out, pairs_of, rows_named
    from fpmc_bench.results.table import RANKED_BY

    form = "json" if as_json else "csv" if as_csv else form
    if as_published:
        if by_sigma or metric != RANKED_BY:
            raise UsageError("--as-published has metrics of its own, over all noise levels")
        tables = published_tables(rows_named(rows, folder), protocol)
        shown = {"terminal": render_published, "csv": published_csv, "json": published_json}
        echo(shown[form](*tables), nl=False)
        return
    pairs = pairs_of(rows, folder, protocol)
    found = comparing.compare(pairs, metric, by_sigma=by_sigma)
    renderers = {"terminal": render_text, "csv": render_csv, "json": render_json}
    echo(renderers[form](found), nl=False)
    folders = rows if folder is None and all(Path(one).is_dir() for one in rows) else ()
    if alone := left_out(pairs, folders, protocol):
        echo(f"left out, for one folder alone has it: {', '.join(alone)}", err=True)
