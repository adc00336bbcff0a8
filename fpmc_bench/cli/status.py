"""`fpmc-bench status`: how far a run is."""

import time
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

from fpmc_bench.cli.common import json_option, print_json
from fpmc_bench.cli.printing import PrintingCommand, echo, users_stdout

if TYPE_CHECKING:
    from fpmc_bench.jobs.status import FolderStatus

LOOK_SECONDS = 2
"""Between two looks, on a terminal."""


@click.command(cls=PrintingCommand)
@click.argument("folder", type=click.Path(path_type=Path))
@click.option("--watch", is_flag=True, help="Look again and again until nothing is at work.")
@json_option
def status(folder: Path, watch: bool, as_json: bool) -> None:
    """Say how far the run in FOLDER is: what is done, running where, failed, and what time is left.

    FOLDER is a run directory, a study's folder, or unfinished fine-tuning (*.finetuning). Of a run
    that ended it says how, and what command goes on. It only looks, from any machine that sees the
    folder. Exit status 0 wherever it could tell, whether or not the run or a row has failed.
    """
    from fpmc_bench.jobs.status import folder_status

    found = folder_status(folder)
    if watch:
        found = _watched(folder, found)
    if as_json:
        print_json([one.plain for one in found])
    else:
        echo(_text(found))


def _watched(folder: Path, found: "tuple[FolderStatus, ...]") -> "tuple[FolderStatus, ...]":
    """As it is when nothing is at work any more; until then drawn over, or a line a minute."""
    from fpmc_bench.jobs.status import folder_status
    from fpmc_bench.telling.bars import LINE_SECONDS
    from fpmc_bench.telling.live import Live

    stdout = users_stdout()
    live = Live(stdout) if stdout.isatty() else None
    while any(one.at_work for one in found):
        if live:
            live.draw(_text(found).splitlines())
        else:
            echo(next(one for one in reversed(found) if one.at_work).lines(datetime.now(UTC))[0])
        time.sleep(LOOK_SECONDS if live else LINE_SECONDS)
        found = folder_status(folder)
    if live:
        live.clear()
    return found


def _text(found: "tuple[FolderStatus, ...]") -> str:
    now = datetime.now(UTC)
    return "\n\n".join("\n".join(one.lines(now)) for one in found)
