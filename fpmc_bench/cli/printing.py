"""What commands print: to stdout only what was asked for, whoever else prints something.

While a command works a plugin's `print` goes to stderr, so that programs can read stdout; and so
does what a plugin's compiled code, or a program that it calls, writes to file descriptor 1.
"""

import io
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from typing import Any

import click

from fpmc_bench.documents.text import printable

STDOUT = "fpmc_bench.stdout"
"""Under which a command's context keeps the stream that its user sees."""
DESCRIPTOR = "fpmc_bench.descriptor"
"""Under which it keeps where file descriptor 1 led; 1 where it still leads there."""


def echo(text: str = "", *, err: bool = False, nl: bool = True) -> None:
    """Print text that may hold what strangers wrote: control characters show as their codes.

    A reader that has gone, as `head` does, misses what follows, and nothing else changes.
    """
    stream: Any = sys.stderr if err else users_stdout()
    try:
        click.echo(printable(text), file=stream, nl=nl)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


def users_stdout() -> Any:
    """The stream that `echo` prints to."""
    context = click.get_current_context(silent=True)
    return context.meta.get(STDOUT, sys.stdout) if context else sys.stdout


def give_stdout_back() -> None:
    """File descriptor 1 is the user's again: for the processes that do this command's work."""
    meta = click.get_current_context().meta
    if meta[DESCRIPTOR] != 1:
        os.dup2(meta[DESCRIPTOR], 1)


class PrintingCommand(click.Command):
    """A command during whose work stdout belongs to `echo` alone."""

    def invoke(self, ctx: click.Context) -> Any:
        """Carry it out."""
        with _taken_aside(ctx.meta), redirect_stdout(sys.stderr):
            return super().invoke(ctx)


class PrintingGroup(click.Group):
    """A group of such commands."""

    command_class = PrintingCommand


@contextmanager
def _taken_aside(meta: dict[str, Any]) -> Iterator[None]:
    """The user's stdout, noted in `meta`, is on a descriptor of its own; 1 is that of stderr."""
    stdout = sys.stdout
    meta[STDOUT], meta[DESCRIPTOR] = stdout, 1
    if _descriptor(stdout) != 1 or _descriptor(sys.stderr) is None:
        yield  # a test's, a notebook's, or closed
        return
    stdout.flush()
    own = os.dup(1)
    with os.fdopen(own, "w", encoding=stdout.encoding, errors=stdout.errors) as stream:
        meta[STDOUT], meta[DESCRIPTOR] = stream, own
        os.dup2(sys.stderr.fileno(), 1)
        try:
            yield
        finally:
            os.dup2(own, 1)


def _descriptor(stream: Any) -> int | None:
    """That of a stream; None where it has none."""
    try:
        return int(stream.fileno())
    except (AttributeError, io.UnsupportedOperation, ValueError):
        return None


def replace_what_has_no_code() -> None:
    """On streams whose encoding lacks a character, as ± in ASCII, that one shows as "?"."""
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="replace")
