"""`fpmc-bench leaderboard items`: where an entry fails."""

from dataclasses import asdict
from pathlib import Path

import click

from fpmc_bench.cli.common import json_option, print_json, protocol_option
from fpmc_bench.cli.printing import PrintingCommand, echo


@click.command(cls=PrintingCommand)
@click.argument("directory", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option("-e", "--entry", required=True, help="The row, by its name in the tables.")
@protocol_option("Of this protocol [default: the first that the entry has].")
@click.option(
    "--worst",
    "count",
    type=click.IntRange(min=1),
    default=8,
    show_default=True,
    help="How many items.",
)
@click.option("--best", is_flag=True, help="Those with the smallest errors instead.")
@click.option(
    "--out",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Also write a picture of them: reference, prediction and difference, a PNG.",
)
@json_option
def items(
    directory: Path,
    entry: str,
    protocol: str | None,
    count: int,
    best: bool,
    out: Path | None,
    as_json: bool,
) -> None:
    """List the items of DIRECTORY that an entry does worst, and show what they look like.

    DIRECTORY is a run directory or a folder of records. For pictures the run must have kept its
    predictions (`run --keep-predictions`), or the items must be among its first samples.
    """
    from fpmc_bench.results.worst import worst_items, write_worst_items

    found = worst_items(directory, entry, protocol=protocol, count=count, best=best)
    if as_json:
        print_json(asdict(found))
    else:
        from fpmc_bench.results.render.worst import render_worst

        echo(render_worst(found, best=best))
    if out is not None:
        echo(f"wrote {write_worst_items(directory, found, out)}", err=True)
