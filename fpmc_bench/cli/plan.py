"""`fpmc-bench plan`: what a run is going to take."""

import shlex
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from fpmc_bench.cli.common import (
    Given,
    job_options,
    json_option,
    print_json,
    registry_with_warnings,
)
from fpmc_bench.cli.duration import Duration
from fpmc_bench.cli.printing import PrintingCommand, echo
from fpmc_bench.cli.run_options import changed_suite, run_options

if TYPE_CHECKING:
    from fpmc_bench.harness.forecast import Part
    from fpmc_bench.jobs.plan import RunPlan


@click.command(cls=PrintingCommand)
@run_options
@click.option(
    "--time-budget",
    type=Duration(),
    help="How long the run may take, as 90s, 20min or 2h: chooses the number of items.",
)
@click.option(
    "--seconds",
    type=click.FloatRange(min=0, min_open=True),
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
    denoiser are put together to a unit, and the table says "about". With --time-budget the number
    of items is chosen, and the table has the standard error that each row's mse@1 will have.

    Exit status 1 where a row failed, or where memory or disk can't be enough.
    """
    began = time.perf_counter()
    from fpmc_bench.catalog.entries import chosen_entries
    from fpmc_bench.catalog.finding import load_suite
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
        print_json(_as_json(found))
    else:
        echo(_table(found))
        if time_budget:
            echo(f"\n{_command(found.items)}")
        echo(f"\n{asked.name}, {found.items} items: {found.outlook.line}")
    for name, report in found.failures.items():
        echo(f"fpmc-bench: {name} failed:\n{report}", err=True)
    for doubt in filter(None, (found.doubt, found.refusal)):
        echo(f"fpmc-bench: {doubt}", err=True)
    ctx.exit(1 if found.failures or found.refusal else 0)


def _table(found: "RunPlan") -> str:
    from tabulate import tabulate

    parts = found.outlook.parts
    columns = {
        "row": [part.name for part in parts],
        "protocol": [part.protocol or "-" for part in parts],
        "units": [f"{part.units - len(part.lacking)} of {part.units}" for part in parts],
        "each": [_each(part) for part in parts],
        "left": [_left(part) for part in parts],
        "memory": [_size(part.timings.grown_bytes) for part in parts],
        "disk": [_size(part.run_bytes + part.cache_bytes) for part in parts],
        "s.e. of mse@1": [_error(part, found) for part in parts],
        "cache": [found.used.get(part.name, "") for part in parts],
    }
    alignment = ("left", "left", *["right"] * 6, "left")
    return str(
        tabulate(
            columns, headers="keys", tablefmt="simple", disable_numparse=True, colalign=alignment
        )
    )


def _each(part: "Part") -> str:
    """Seconds of a unit, of which guesses begin with a tilde."""
    if part.unit_seconds is None:
        return "?" if part.lacking else ""
    about = "~" if part.timings.is_guess else ""
    return f"{about}{_seconds(part.unit_seconds)}"


def _left(part: "Part") -> str:
    if not part.lacking:
        return "0 s"
    return "?" if part.is_unknown else _seconds(part.seconds)


def _seconds(seconds: float) -> str:
    from fpmc_bench.telling.times import span

    return f"{seconds:.2g} s" if seconds < 9.5 else span(seconds)


def _size(size: int | None) -> str:
    from fpmc_bench.harness.room import sized

    return ("" if size == 0 else sized(size)) if size is not None else "?"


def _error(part: "Part", found: "RunPlan") -> str:
    error = found.errors.get(f"{part.name}.{part.protocol}") if part.is_row else None
    return "" if error is None else f"{error:.2g}"


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


def _as_json(found: "RunPlan") -> dict[str, Any]:
    outlook = found.outlook
    return {
        "items": found.items,
        "directory": found.directory,
        "processes": outlook.processes,
        "seconds": outlook.seconds,
        "around_seconds": outlook.around_seconds,
        "memory_bytes": outlook.memory_bytes,
        "run_bytes": outlook.run_bytes,
        "cache_bytes": outlook.cache_bytes,
        "untimed": outlook.untimed,
        "line": outlook.line,
        "refusal": found.refusal,
        "doubt": found.doubt,
        "failed": sorted(found.failures),
        "rows": [
            {
                "name": part.name,
                "protocol": part.protocol or None,
                "stage": part.stage,
                "units": part.units,
                "lacking": len(part.lacking),
                "unit_seconds": part.unit_seconds,
                "beginning_seconds": part.beginning,
                "seconds": None if part.is_unknown else part.seconds,
                "guessed": part.timings.is_guess,
                "grown_bytes": part.timings.grown_bytes,
                "run_bytes": part.run_bytes,
                "cache_bytes": part.cache_bytes,
                "standard_error": found.errors.get(f"{part.name}.{part.protocol}")
                if part.is_row
                else None,
                "cache": found.used.get(part.name),
            }
            for part in outlook.parts
        ],
    }
