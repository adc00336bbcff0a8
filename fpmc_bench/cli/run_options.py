"""What `run` and `plan` are asked for alike: which part of a suite, and where it is to live."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import click

from fpmc_bench.cli.common import denoiser_option
from fpmc_bench.documents.protocols import PROTOCOLS

if TYPE_CHECKING:
    from fpmc_bench.documents.suite import Suite

Command = Callable[..., None]
OPTIONS = (
    click.argument("suite", default="digits"),
    denoiser_option,
    click.option(
        "-p",
        "--protocol",
        "protocols",
        multiple=True,
        type=click.Choice(list(PROTOCOLS)),
        help="Only this protocol.",
    ),
    click.option("--items", type=click.IntRange(min=2), help="Items per protocol."),
    click.option("--seed", type=click.IntRange(min=0), help="Seed of all noise."),
    click.option(
        "--run-dir",
        type=click.Path(file_okay=False, path_type=Path),
        help="Where the run lives [default: runs/SUITE-KEY].",
    ),
    click.option(
        "--keep-predictions",
        is_flag=True,
        help="Also keep every prediction, for measuring it otherwise: predictions/ of the run.",
    ),
)


def run_options(command: Command) -> Command:
    """Add them, as `suite`, `denoisers`, `protocols`, `items`, `seed`, `run_dir` and
    `keep_predictions`."""
    for option in reversed(OPTIONS):
        command = option(command)
    return command


def changed_suite(
    suite: "Suite", items: int | None, seed: int | None, protocols: tuple[str, ...]
) -> "Suite":
    """With whatever was asked for in place of its own."""
    asked = {"items": items, "seed": seed, "protocols": protocols or None}
    changes = {key: value for key, value in asked.items() if value is not None}
    return suite.replaced(**changes) if changes else suite
