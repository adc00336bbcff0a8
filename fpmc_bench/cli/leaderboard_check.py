"""`fpmc-bench leaderboard check`: whether leaderboards are what their items say."""

import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from fpmc_bench.cli.common import json_option, print_json
from fpmc_bench.cli.printing import PrintingCommand, echo
from fpmc_bench.errors import UsageError

if TYPE_CHECKING:
    from fpmc_bench.results.board.check import Check


@click.command(cls=PrintingCommand)
@click.argument(
    "directories",
    nargs=-1,
    required=True,
    metavar="DIRECTORY...",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
)
@click.option("--strict", is_flag=True, help="Take notes for faults: for what is published.")
@json_option
@click.pass_context
def check(ctx: click.Context, directories: tuple[Path, ...], strict: bool, as_json: bool) -> None:
    """Compute anew what DIRECTORY says: figures, digests, tables and pictures, from the items.

    Every fault is named with its file and what to do, and the exit status is then 1. Notes say what
    could not be compared here, or is no fault of the folder: a figure that another version of
    matplotlib has drawn, a row that one protocol lacks, a suite of this name with other settings.
    """
    from fpmc_bench.results.board.check import check as checked

    for directory in directories:
        _refuse_several(directory)
    done = [checked(directory) for directory in directories]
    if as_json:
        print_json([plain_check(one) for one in done])
    else:
        for one in done:
            print_check(one, strict=strict)
    ctx.exit(1 if any(one.faults or (strict and one.notes) for one in done) else 0)


def _refuse_several(directory: Path) -> None:
    """UsageError for a folder that is no leaderboard, and has some in it."""
    own = sorted(path.parent for path in directory.glob("*/records"))
    if own and not (directory / "records").is_dir():
        raise UsageError(
            f"{directory} is no leaderboard, and holds some; name them: "
            f"fpmc-bench leaderboard check {shlex.join(map(str, own))}"
        )


def print_check(done: "Check", *, strict: bool = False) -> None:
    """What was looked at, in a line, and below it every finding; `strict`: notes are faults."""
    looked_at = (
        f"{done.records} records, {done.figures} figures of {done.items} items, "
        f"{done.samples} samples, {done.attestations} attestations, {done.rendered} tables and "
        f"pictures"
    )
    count = len(done.faults) + (len(done.notes) if strict else 0)
    said = f"{count} {'fault' if count == 1 else 'faults'}" if count else "all as they should be"
    echo(f"{done.directory}: {looked_at}: {said}")
    for fault in done.faults:
        echo(f"  {fault}")
    for note in done.notes:
        echo(f"  {note}" if strict else f"  note: {note}")


def plain_check(done: "Check") -> dict[str, Any]:
    """As JSON has it."""
    return {
        **vars(done),
        "directory": done.directory.as_posix(),
        "faults": [vars(one) for one in done.faults],
        "notes": [vars(one) for one in done.notes],
    }
