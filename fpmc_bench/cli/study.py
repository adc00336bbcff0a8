"""`fpmc-bench study`: the paper's studies, on any suite."""

from pathlib import Path
from typing import Any

import click

from fpmc_bench.cli.common import (
    Given,
    job_options,
    json_option,
    print_json,
    processes_option,
    registry_with_warnings,
    shared_by,
)
from fpmc_bench.cli.finetune_options import settings_options
from fpmc_bench.cli.isolation import Isolation, isolation_options
from fpmc_bench.cli.printing import PrintingCommand, echo
from fpmc_bench.cli.shown_options import Shown, shown_options


@click.command(cls=PrintingCommand)
@click.argument("study")
@click.option("--suite", default="digits", show_default=True, help="A name, or a .toml file.")
@click.option("--out", type=click.Path(path_type=Path, file_okay=False),
              help="Where it all goes [default: studies/STUDY-SUITE].")  # fmt: skip
@click.option("--items", type=click.IntRange(min=2), help="Items per protocol.")
@click.option("--base", "bases", multiple=True, metavar="ENTRY", help="Only this base, or others.")
@click.option("--sigma", "sigmas", type=click.FloatRange(min=0, min_open=True), multiple=True,
              help="denoiser-mse at the suite's noise level nearest to this; may be repeated "
              "[default: as the study has them].")  # fmt: skip
@settings_options
@processes_option
@isolation_options
@job_options
@json_option
@shown_options
@click.pass_context
def study(
    ctx: click.Context,
    /,
    study: str,
    suite: str,
    out: Path | None,
    items: int | None,
    bases: tuple[str, ...],
    sigmas: tuple[float, ...],
    processes: int,
    isolation: Isolation,
    given: Given,
    as_json: bool,
    shown: Shown,
    **asked: Any,
) -> None:
    """Carry out STUDY (a name, or the path of a .toml file) on a suite.

    Writes its data as CSV and a figure with standard errors. When the same command is given again
    an interrupted study goes on.
    """
    from fpmc_bench.catalog.entries import with_own_denoisers
    from fpmc_bench.catalog.finding import load_study, load_suite
    from fpmc_bench.jobs.study import StudyJob

    with shared_by(processes, isolated=isolation.wanted(bases)), shown.around_work():
        registry = registry_with_warnings()
        question = load_study(study, registry=registry)
        if sigmas:
            question = question.replaced(sigmas=sigmas)
        chosen = load_suite(suite, registry=registry)
        if items is not None:
            chosen = chosen.replaced(items=items)
        bases, registry = with_own_denoisers(chosen, bases, registry)
        job = StudyJob(
            question,
            chosen,
            out or Path("studies") / f"{question.name}-{chosen.name}",
            registry,
            given.device,
            given.memory_budget,
            given.places,
            not shown.quiet,
            bases,
            {name: value for name, value in asked.items() if value is not None},
            isolation.unit_timeout_s,
        )
        outcome = job.run()
    if not outcome.run.is_main:
        return
    for reason in outcome.stopped:
        echo(f"fpmc-bench: {reason}", err=True)
    for name, report in outcome.failures.items():
        echo(f"fpmc-bench: {name} failed:\n{report}", err=True)
    answer, paths = job.answer(outcome)
    if as_json:
        places = {name: str(path) for name, path in paths.items()}
        print_json({"study": question.name, "suite": chosen.name, **places, **answer.plain})
    else:
        echo(answer.text)
        for path in paths.values():
            echo(f"wrote {path}")
    undrawn = "figure" not in paths
    ctx.exit(1 if outcome.stopped or outcome.failures or undrawn else 0)
