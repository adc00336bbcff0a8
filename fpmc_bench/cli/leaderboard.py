"""`fpmc-bench leaderboard`: tables and figures from records, and what is done with them."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from fpmc_bench.cli.common import format_option, protocol_option
from fpmc_bench.cli.leaderboard_add import add
from fpmc_bench.cli.leaderboard_check import check
from fpmc_bench.cli.leaderboard_items import items
from fpmc_bench.cli.leaderboard_push import push
from fpmc_bench.cli.leaderboard_site import site
from fpmc_bench.cli.printing import PrintingGroup, echo

if TYPE_CHECKING:
    from fpmc_bench.results.table import Table

FORMATS = ("terminal", "md", "csv", "tex", "json")


@click.group(cls=PrintingGroup)
def leaderboard() -> None:
    """Tables and figures from records."""


leaderboard.add_command(site)
leaderboard.add_command(add)
leaderboard.add_command(check)
leaderboard.add_command(push)
leaderboard.add_command(items)


@leaderboard.command()
@click.argument("directory", type=click.Path(exists=True, file_okay=False, path_type=Path))
@protocol_option("Only this protocol.")
@format_option(FORMATS, "tables")
@click.option("--json", "as_json", is_flag=True, help="Print JSON: the same as --format json.")
@click.option("--write", is_flag=True, help="Also write tables/ and figures/ into DIRECTORY.")
@click.pass_context
def render(
    ctx: click.Context,
    directory: Path,
    protocol: str | None,
    form: str,
    as_json: bool,
    write: bool,
) -> None:
    """Show the leaderboard of DIRECTORY: a run directory, or a folder of records.

    Every figure is computed anew from the per-item values beside the records; records that were
    altered, or that can't be compared with each other, are refused.
    """
    from fpmc_bench.results.reading import read_tables

    tables = read_tables(directory, protocol)
    echo(_rendered("json" if as_json else form, tables), nl=False)
    if write:
        from fpmc_bench.results.render import write_figures, write_tables

        written = write_tables(directory, tables)
        drawn = write_figures(directory, tables)
        for path in (*written, *(path for path, there in drawn.items() if there)):
            echo(f"wrote {path}", err=True)
        ctx.exit(0 if all(drawn.values()) else 1)


def _rendered(form: str, tables: "tuple[Table, ...]") -> str:
    """Only the renderer asked for is imported."""
    if form == "csv":
        from fpmc_bench.results.render.csv import render_csv

        return render_csv(*tables)
    if form == "json":
        from fpmc_bench.results.render.json import render_json

        return render_json(*tables)
    if form == "md":
        from fpmc_bench.results.render.markdown import render_markdown

        return "\n".join(map(render_markdown, tables))
    if form == "tex":
        from fpmc_bench.results.render.latex import render_latex

        return "\n".join(map(render_latex, tables))
    from fpmc_bench.results.render.terminal import render_terminal

    return "\n\n".join(map(render_terminal, tables)) + "\n"
