"""`fpmc-bench leaderboard site`: pages to look at leaderboards, without a server."""

from pathlib import Path

import click

from fpmc_bench.cli.printing import PrintingCommand, echo


@click.command(cls=PrintingCommand)
@click.argument("directory", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    default="site",
    show_default=True,
    help="Where the site goes; an earlier one there is replaced.",
)
def site(directory: Path, out: Path) -> None:
    """Write a site of all leaderboards in DIRECTORY, or of the one that it is.

    Its pages need no server and nothing from elsewhere: open index.html. Every figure is computed
    anew from the per-item values beside the records; records that were altered are refused.
    """
    from fpmc_bench.results.site import build_site

    boards = build_site(directory, out)
    for board in boards:
        echo(f"{board.name}: {len(board.entries)} rows", err=True)
    echo(f"{out / 'index.html'}")
