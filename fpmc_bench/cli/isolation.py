"""Whether a command computes in a process that may be lost, and how long a unit may take."""

import importlib.metadata
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import wraps
from typing import Any

import click

from fpmc_bench.cli.duration import Seconds

Command = Callable[..., None]
PLUGIN_FILE = re.compile(r"\.py\b")


@dataclass(frozen=True)
class Isolation:
    """What was asked for; `asked` is None where the plugins decide."""

    asked: bool | None
    unit_timeout_s: float | None

    def wanted(self, selections: Sequence[str]) -> bool:
        """Whether also a process that is alone is to be one that may be lost.

        By itself where strangers' code may run: other distributions than ours offer plugins, or a
        selection is a file. Nothing is imported for that.
        """
        if self.asked is not None:
            return self.asked
        return self.unit_timeout_s is not None or _has_strangers(selections)


def isolation_options(command: Command) -> Command:
    """Add the options that say so, and hand them to the command as `isolation`."""

    @wraps(command)
    def with_isolation(
        *arguments: Any, isolate: bool | None, unit_timeout: float | None, **others: Any
    ) -> None:
        command(*arguments, isolation=Isolation(isolate, unit_timeout), **others)

    for option in (
        click.option(
            "--isolate/--no-isolate",
            default=None,
            envvar="FPMC_BENCH_ISOLATE",
            help="Compute in a process of its own, of which a crash costs only the row that it was "
            "at [default: where plugins are installed, or files given, that are not fpmc_bench's "
            "own, or with --unit-timeout]. Without it a debugger works.",
        ),
        click.option(
            "--unit-timeout",
            type=Seconds(),
            metavar="SECONDS",
            help="Fail a row that takes longer to be checked or built, or for a block of items.",
        ),
    ):
        with_isolation = option(with_isolation)
    return with_isolation


def _has_strangers(selections: Sequence[str]) -> bool:
    plugins = importlib.metadata.entry_points(group="fpmc_bench")
    installed = any(entry.dist is None or entry.dist.name != "fpmc-bench" for entry in plugins)
    return installed or any(PLUGIN_FILE.search(one) for one in selections)
