"""`fpmc-bench cache`: what is kept to be had again, what from, and how to be rid of it."""

import time
from collections.abc import Sequence
from typing import TYPE_CHECKING

import click

from fpmc_bench.cli.common import json_option, print_json
from fpmc_bench.cli.duration import Duration
from fpmc_bench.cli.printing import PrintingGroup, echo
from fpmc_bench.documents.text import one_line
from fpmc_bench.errors import DiskError, UnknownNameError, UsageError

if TYPE_CHECKING:
    from fpmc_bench.storage.inventory import Inventory, Kept

LEAST_LETTERS = 4
"""Of a name, to be asked for by."""


@click.group(cls=PrintingGroup)
def cache() -> None:
    """Show or clear what is kept to be had again: fits, images, timings.

    It lies in the folder that FPMC_BENCH_CACHE names, by default the user's cache folder.
    """


@cache.command(name="list")
@click.argument("what", nargs=-1)
@json_option
def list_(what: tuple[str, ...], as_json: bool) -> None:
    """Count what is kept, by kind; or list each thing of WHAT: kinds, or beginnings of names.

    With its size, when it was last wanted, and what it was made from.
    """
    from fpmc_bench.cli.cache_text import counted, plain, size_text, table_of_kinds, table_of_things

    found = _inventory()
    things = _chosen(found, what)
    if as_json:
        print_json(plain(found, things))
        return
    if things:
        echo((table_of_things(found, things) if what else table_of_kinds(found)) + "\n")
    echo(f"{counted(things)} in {found.folder}")
    if found.others and not what:
        size = size_text(sum(file.bytes for file in found.others))
        echo(f"{len(found.others)} other files there, {size}, are none of fpmc-bench's, and stay")


@cache.command()
@click.argument("name")
@json_option
def explain(name: str, as_json: bool) -> None:
    """Show all of one thing, by the beginning of its NAME: what it is, what from, whether whole.

    NAME is as `cache list KIND` shows it, with its kind or without.
    """
    from fpmc_bench.cli.cache_text import explained, plain, told

    found = _inventory()
    things = _chosen(found, (name,))
    if len(things) > 1:
        raise UsageError(f"'{name}' could be any of {told(things)}; give more of its name")
    if as_json:
        print_json({**plain(found, things)["things"][0], "faults": things[0].faults()})
    else:
        echo(explained(found, things[0]))


@cache.command()
@click.argument("what", nargs=-1)
@click.option(
    "--older-than", type=Duration(), help="Only what nobody has wanted for so long, as 30d."
)
@click.option("--damaged", is_flag=True, help="Only what is not whole: reads all of it.")
@click.option("--dry-run", is_flag=True, help="Say what would be removed, and remove nothing.")
@click.option("--yes", is_flag=True, help="Remove without asking.")
@click.pass_context
def clear(
    ctx: click.Context,
    what: tuple[str, ...],
    older_than: float | None,
    damaged: bool,
    dry_run: bool,
    yes: bool,
) -> None:
    """Remove what is kept: all of it, or WHAT: kinds, or beginnings of names.

    What a process holds at this moment stays, and a line says so; so does every file that is not
    fpmc-bench's. On a file system of several machines clear it while none of the others works.
    """
    from fpmc_bench.cli.cache_text import counted, short_name, size_text
    from fpmc_bench.storage.clearing import remove

    found = _inventory()
    things = _chosen(found, what, unfinished=True)
    if older_than is not None:
        things = [one for one in things if one.used < time.time() - older_than]
    if damaged:
        things = [one for one in things if _said(one.faults())]
    if not things:
        echo(f"nothing to remove in {found.folder}")
        return
    if dry_run:
        for thing in things:
            echo(f"would remove {short_name(thing)}, {size_text(thing.bytes)}")
        echo(f"would free {counted(things)}")
        return
    if not yes:
        _confirm(f"remove {counted(things)} from {found.folder}?")
    removed, freed, failed = [], 0, False
    for thing in things:
        try:
            size = remove(thing)
        except DiskError as error:
            echo(f"fpmc-bench: {error}", err=True)
            failed = True
            continue
        if size is None:
            echo(f"fpmc-bench: {short_name(thing)} is in use by a process, and stays", err=True)
            continue
        removed.append(thing)
        freed += size
    echo(f"freed {size_text(freed)}: {len(removed)} of {len(things)} things")
    ctx.exit(1 if failed else 0)


def _inventory() -> "Inventory":
    """Of the cache; what could not be looked at is said."""
    from fpmc_bench.storage.cache import cache_directory
    from fpmc_bench.storage.inventory import inventory

    found = inventory(cache_directory())
    _said(found.unseen)
    return found


def _said(texts: Sequence[str]) -> bool:
    """Whether there was something to say, a line each on stderr."""
    for text in texts:
        echo(f"fpmc-bench: {one_line(text)}", err=True)
    return bool(texts)


def _chosen(found: "Inventory", what: Sequence[str], *, unfinished: bool = False) -> "list[Kept]":
    """Things of these kinds, or whose names begin so; all of them by none.

    Those that are locks alone only with `unfinished`. UsageError for what fits none, or several.
    """
    from fpmc_bench.cli.cache_text import told

    things = [thing for thing in found.things if unfinished or thing.bytes or thing.content]
    chosen: dict[str, Kept] = {} if what else {str(thing): thing for thing in things}
    kinds = {one_line(thing.kind) for thing in things}
    for text in what:
        fitting = [one for one in things if one_line(one.kind) == text]
        if not fitting and len(text.rpartition("/")[2]) >= LEAST_LETTERS:
            fitting = [one for one in things if _begins(one, text)]
            if len({one.name for one in fitting}) > 1:
                raise UsageError(f"'{text}' begins {told(fitting)}; give more of the name")
        if not fitting:
            raise UnknownNameError("kind or name of the cache", text, kinds)
        chosen |= {str(one): one for one in fitting}
    return list(chosen.values())


def _begins(thing: "Kept", text: str) -> bool:
    return thing.name.startswith(text) or one_line(str(thing)).startswith(text)


def _confirm(question: str) -> None:
    """UsageError where nobody answers; ends the command where the answer is no."""
    try:
        agreed = click.confirm(question, err=True)
    except click.Abort as error:
        raise UsageError("nothing was removed, for nobody agreed; --yes does not ask") from error
    if not agreed:
        echo("nothing was removed")
        click.get_current_context().exit(0)
