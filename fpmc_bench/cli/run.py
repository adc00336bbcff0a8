"""`fpmc-bench run`: the main job."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from fpmc_bench.cli.common import (
    Given,
    job_options,
    json_option,
    processes_option,
    registry_with_warnings,
    shared_by,
)
from fpmc_bench.cli.isolation import Isolation, isolation_options
from fpmc_bench.cli.printing import PrintingCommand, echo
from fpmc_bench.cli.run_options import changed_suite, run_options
from fpmc_bench.cli.shown_options import Shown, shown_options

if TYPE_CHECKING:
    from fpmc_bench.jobs.outcome import RunOutcome


@click.command(cls=PrintingCommand)
@run_options
@click.option("--fresh", is_flag=True, help="Discard what an earlier run left in the directory.")
@click.option(
    "--listener",
    "listeners",
    multiple=True,
    metavar="NAME",
    help="Tell this listener what the run does, as wandb: NAME or NAME[param=value,...].",
)
@processes_option
@isolation_options
@click.option(
    "--shard-source",
    is_flag=True,
    help="Hold a part of the source images in each process, and compute every row together: for a "
    "source that no device has room for.",
)
@job_options
@json_option
@shown_options
@click.pass_context
def run(
    ctx: click.Context,
    suite: str,
    denoisers: tuple[str, ...],
    protocols: tuple[str, ...],
    items: int | None,
    seed: int | None,
    run_dir: Path | None,
    fresh: bool,
    keep_predictions: bool,
    listeners: tuple[str, ...],
    processes: int,
    isolation: Isolation,
    shard_source: bool,
    given: Given,
    as_json: bool,
    shown: Shown,
) -> None:
    """Run SUITE (a name or the path of a .toml file) and show its leaderboard.

    An interrupted run continues when the same command is given again. Rows that a run directory has
    records of are kept, and shown with those of this run. A row that fails stands last, and the
    exit status is then 1.
    """
    from fpmc_bench.catalog.entries import chosen_entries
    from fpmc_bench.catalog.finding import load_suite
    from fpmc_bench.jobs.run import run_suite

    with shared_by(processes, isolated=isolation.wanted(denoisers)), shown.around_work():
        registry = registry_with_warnings()
        whole = load_suite(suite, registry=registry)
        chosen = chosen_entries(whole, denoisers, registry, given.places)
        changed = changed_suite(chosen.suite, items, seed, protocols)
        outcome = run_suite(
            changed,
            run_dir=run_dir,
            device=given.device,
            fresh=fresh,
            progress=not shown.quiet,
            memory_budget=given.memory_budget,
            shard_source=shard_source,
            keep_predictions=keep_predictions,
            unit_timeout_s=isolation.unit_timeout_s,
            listeners=listeners,
            places=chosen.places,
            registry=chosen.registry,
        )
    if outcome.is_main:
        _report(outcome, as_json)
    # only the main process says that something failed: a launcher stops all at the first failure
    ctx.exit(1 if outcome.failures and outcome.is_main else 0)


def _report(outcome: "RunOutcome", as_json: bool) -> None:
    """Tables to stdout, where they were written, and what failed to stderr."""
    from fpmc_bench.harness.prints import log_of
    from fpmc_bench.jobs.run import written_tables
    from fpmc_bench.results.render import write_figures
    from fpmc_bench.results.render.json import render_json
    from fpmc_bench.results.render.terminal import render_terminal

    if any((outcome.directory / "records").glob("*.json")):
        tables, written = written_tables(outcome.directory)
        if as_json:
            echo(render_json(*tables), nl=False)
        else:
            for table in tables:
                echo(render_terminal(table) + "\n")
        drawn = write_figures(outcome.directory, tables)
        if not as_json:
            for path in (*written, *(path for path, there in drawn.items() if there)):
                echo(f"wrote {path}")
    for name, report in outcome.failures.items():
        echo(f"fpmc-bench: {name} failed:\n{report}", err=True)
        if (log := log_of(outcome.directory, name)).exists():
            echo(f"what it printed is in {log}\n", err=True)
