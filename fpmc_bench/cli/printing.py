"""What commands print: to stdout only what was asked for, whoever else prints something.

While a command works a plugin's `print` goes to stderr, so that programs can read stdout.
"""

import os
import sys
from contextlib import redirect_stdout
from typing import Any

import click

from fpmc_bench.documents.text import printable

STDOUT = "fpmc_bench.stdout"
"""Under which a command's context keeps the stream that its user sees."""


def echo(text: str = "", *, err: bool = False, nl: bool = True) -> None:
    """Print text that may hold what strangers wrote: control characters show as their codes.

    A reader that has gone, as `head` does, misses what follows, and nothing else changes.
    """
    context = click.get_current_context(silent=True)
    asked_for = context.meta.get(STDOUT, sys.stdout) if context else sys.stdout
    stream: Any = sys.stderr if err else asked_for
    try:
        click.echo(printable(text), file=stream, nl=nl)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


class PrintingCommand(click.Command):
    """A command during whose work stdout belongs to `echo` alone."""

    def invoke(self, ctx: click.Context) -> Any:
        """Carry it out."""
        ctx.meta[STDOUT] = sys.stdout
        with redirect_stdout(sys.stderr):
            return super().invoke(ctx)


class PrintingGroup(click.Group):
    """A group of such commands."""

    command_class = PrintingCommand


def replace_what_has_no_code() -> None:
    """On streams whose encoding lacks a character, as ± in ASCII, that one shows as "?"."""
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="replace")
