"""`fpmc-bench plan`: what a run is going to take."""

import shlex
import sys
import time
from pathlib import Path

import click

from fpmc_bench.cli.common import (
    Given,
    job_options,
    json_option,
    print_json,
    registry_with_warnings,
)
from fpmc_bench.cli.duration import Duration, Seconds
from fpmc_bench.cli.printing import PrintingCommand, echo
from fpmc_bench.cli.run_options import changed_suite, run_options


@click.command(cls=PrintingCommand)
@run_options
@click.option(
    "--time-budget",
    type=Duration(),
    help="How long the run may take, as 90s, 20min or 2h: chooses the number of items.",
)
@click.option(
    "--seconds",
    type=Seconds(),
    default=10.0,
    show_default=True,
    help="About what timing may take, for each row that was never timed here.",
)
@click.option(
    "--processes",
    type=click.IntRange(min=1),
    default=1,
    show_default=True,
    help="Local processes that are to share the work.",
)
@job_options
@json_option
@click.option("--quiet", is_flag=True, help="No progress bars.")
@click.pass_context
def plan(
    ctx: click.Context,
    suite: str,
    denoisers: tuple[str, ...],
    protocols: tuple[str, ...],
    items: int | None,
    seed: int | None,
    run_dir: Path | None,
    keep_predictions: bool,
    time_budget: float | None,
    seconds: float,
    processes: int,
    given: Given,
    as_json: bool,
    quiet: bool,
) -> None:
    """Tell what running SUITE will take: time, memory and disk, row by row, before anything long.

    Rows that were never timed here are timed first. Where two of a row's units are affordable they
    are computed, and stay in the run directory, where the run finds them; else a few calls of the
    denoiser are put together to a unit, which the table marks by "~". With --time-budget the number
    of items is chosen, and the table has the standard error that each row's mse@1 will have.

    Exit status 1 where a row failed, or where memory or disk can't be enough.
    """
    began = time.perf_counter()
    from fpmc_bench.catalog.entries import chosen_entries
    from fpmc_bench.catalog.finding import load_suite
    from fpmc_bench.cli.plan_text import plain, table_of
    from fpmc_bench.jobs.plan import plan_suite
    from fpmc_bench.telling.bars import Bar

    registry = registry_with_warnings()
    whole = load_suite(suite, registry=registry)
    chosen = chosen_entries(whole, denoisers, registry, given.places)
    asked = changed_suite(chosen.suite, items, seed, protocols)
    with Bar("timing", None, "row", hidden=quiet, brief=True) as bar:

        def told(what: str) -> None:
            bar.note(what)
            bar.advance()

        found = plan_suite(
            asked,
            run_dir=run_dir,
            device=given.device,
            processes=processes,
            memory_budget=given.memory_budget,
            keep_predictions=keep_predictions,
            time_budget=time_budget,
            seconds=seconds,
            began=began,
            told=told,
            places=chosen.places,
            registry=chosen.registry,
        )
    if as_json:
        print_json(plain(found))
    else:
        echo(table_of(found))
        if time_budget:
            echo(f"\n{_command(found.items)}")
        echo(f"\n{asked.name}, {found.items} items: {found.outlook.line}")
    for name, report in found.failures.items():
        echo(f"fpmc-bench: {name} failed:\n{report}", err=True)
    for doubt in filter(None, (found.doubt, found.refusal)):
        echo(f"fpmc-bench: {doubt}", err=True)
    ctx.exit(1 if found.failures or found.refusal else 0)


def _command(items: int) -> str:
    """The command that runs what was planned: this one, for another verb."""
    given, taken = sys.argv[1:], ("--time-budget", "--items", "--seconds")
    kept: list[str] = []
    while given:
        word = given.pop(0)
        name, valued, _ = word.partition("=")
        if name in taken:
            given = given if valued else given[1:]
        elif word not in ("--json", "--quiet"):
            kept.append("run" if word == "plan" and "run" not in kept else word)
    return f"fpmc-bench {shlex.join([*kept, '--items', str(items)])}"
