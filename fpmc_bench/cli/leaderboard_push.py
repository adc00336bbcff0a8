"""`fpmc-bench leaderboard push`: a leaderboard uploaded to a hub."""

from pathlib import Path

import click

from fpmc_bench.cli.printing import PrintingCommand, echo


@click.command(cls=PrintingCommand)
@click.argument("directory", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option("--hub", "repo", required=True, metavar="OWNER/NAME", help="The dataset to make.")
@click.option("--private", is_flag=True, help="Where it is made, only its owner may see it.")
@click.option("--dry-run", is_flag=True, help="Say what would be uploaded, and ask nobody.")
def push(directory: Path, repo: str, private: bool, dry_run: bool) -> None:
    """Upload DIRECTORY, once it was checked, to the Hugging Face Hub as a dataset.

    With a card of its tables. The token is that of 'hf auth login' or HF_TOKEN; HF_ENDPOINT names
    another hub. Its ledger, predictions, studies and earlier records stay here.
    """
    from fpmc_bench.jobs.push import push as pushed

    done = pushed(directory, repo, private=private, dry_run=dry_run)
    if dry_run:
        for name in done.files:
            echo(name)
    echo(f"{len(done.files)} files {'would go to' if dry_run else 'are at'} {done.url}")
