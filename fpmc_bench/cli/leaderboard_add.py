"""`fpmc-bench leaderboard add`: rows of a run taken into a leaderboard."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from fpmc_bench.cli.common import json_option, print_json
from fpmc_bench.cli.leaderboard_check import plain_check, print_check
from fpmc_bench.cli.printing import PrintingCommand, echo

if TYPE_CHECKING:
    from fpmc_bench.results.board.add import Addition


@click.command(cls=PrintingCommand)
@click.argument("run", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option(
    "--to",
    "board",
    required=True,
    metavar="DIRECTORY",
    type=click.Path(file_okay=False, path_type=Path),
    help="The leaderboard; made where it is not there.",
)
@click.option("--entry", "entries", multiple=True, help="Only this entry of the run.")
@click.option(
    "--replace",
    multiple=True,
    metavar="ENTRY",
    help="Take this entry though another record of it is there, which moves to earlier/.",
)
@click.option("--dry-run", is_flag=True, help="Say what would be done, and write nothing.")
@json_option
def add(
    run: Path,
    board: Path,
    entries: tuple[str, ...],
    replace: tuple[str, ...],
    dry_run: bool,
    as_json: bool,
) -> None:
    """Take the rows of RUN, a run directory, that DIRECTORY has not into it, and render it anew.

    What is there stays as it is. A run that differs in anything that rows share, as a seed, a
    network or the kind of device, is refused, and so is another record of a row that is there. The
    other network's row, which every run measures, is compared with the one that is there.
    """
    from fpmc_bench.results.board.add import add as added

    done = added(run, board, entries=entries, replace=replace, dry_run=dry_run)
    if as_json:
        print_json(
            {
                "added": done.rows.added,
                "replaced": done.rows.replaced,
                "same": done.rows.same,
                "kept": done.rows.kept,
                "written": () if dry_run else done.written,
                "check": plain_check(done.check),
            }
        )
    else:
        _print(done, dry_run)


def _print(done: "Addition", dry_run: bool) -> None:
    would = "would be " if dry_run else ""
    for stem in done.rows.added:
        echo(f"{stem}: {would}added")
    for stem in done.rows.replaced:
        echo(f"{stem}: {would}replaced; what was there {'goes' if dry_run else 'is'} in earlier/")
    for stem in done.rows.same:
        echo(f"{stem}: is there already")
    for stem, why in done.rows.kept.items():
        echo(f"{stem}: {why}")
    echo(f"{len(done.written)} files {would}written")
    print_check(done.check)
