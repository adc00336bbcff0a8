"""How commands that take long say how far they are: --quiet, --watch, --log-json."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import wraps
from typing import Any

import click

from fpmc_bench.errors import UsageError
from fpmc_bench.launched import is_main
from fpmc_bench.telling.bars import shows_bars
from fpmc_bench.telling.lines import json_lines
from fpmc_bench.telling.live import live_stderr

Command = Callable[..., None]


@dataclass(frozen=True)
class Shown:
    """What is shown of the work: a bar or lines unless it is `quiet`, or a table."""

    quiet: bool
    watch: bool

    @contextmanager
    def around_work(self) -> Iterator[None]:
        """In a process that works: what is asked for, where it can be drawn."""
        if self.watch and is_main() and shows_bars():
            with live_stderr():
                yield
        else:
            yield


def shown_options(command: Command) -> Command:
    """Add the three, and hand them to the command as `shown`; UsageError for two of them."""

    @wraps(command)
    def with_shown(
        *arguments: Any, quiet: bool, watch: bool, log_json: bool, **others: Any
    ) -> None:
        given = {"--quiet": quiet, "--watch": watch, "--log-json": log_json}
        asked = [name for name, value in given.items() if value]
        if len(asked) > 1:
            raise UsageError(f"{' and '.join(asked)} exclude each other: give one of them")
        command(*arguments, shown=Shown(quiet, watch), **others)

    for option in (
        click.option(
            "--log-json",
            is_flag=True,
            is_eager=True,
            callback=_log_json,
            help="Say how far it is, and everything else, in lines of JSON on stderr.",
        ),
        click.option("--watch", is_flag=True, help="A live table in place of the bar."),
        click.option("--quiet", is_flag=True, help="Say nothing of how far it is."),
    ):
        with_shown = option(with_shown)
    return with_shown


def _log_json(ctx: click.Context, _: click.Parameter, value: bool) -> bool:
    """At once, and to the command's very end, so that all it says is JSON."""
    if value and not ctx.resilient_parsing:
        stack = ctx.find_object(ExitStack)
        assert stack is not None, "which `main` gives"
        stack.enter_context(json_lines())
    return value
