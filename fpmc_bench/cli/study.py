"""`fpmc-bench study`: the paper's studies, on any suite."""

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from fpmc_bench.cli.common import (
    data_option,
    memory_budget_option,
    registry_with_warnings,
    teacher_option,
)
from fpmc_bench.cli.finetune_options import settings_options

if TYPE_CHECKING:
    from collections.abc import Sequence

    from fpmc_bench.harness.study import StudyOutcome
    from fpmc_bench.study import Study


@click.command()
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
@click.option("--processes", type=click.IntRange(min=1), default=1, show_default=True,
              help="Local processes to share the work.")  # fmt: skip
@click.option("--device", default="auto", show_default=True, help="auto, cpu, cuda or cuda:N.")
@data_option
@teacher_option
@memory_budget_option
@click.option("--quiet", is_flag=True, help="No progress bars.")
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
    device: str,
    data: tuple[str, ...],
    teacher: tuple[str, ...],
    memory_budget: int,
    quiet: bool,
    **asked: Any,
) -> None:
    """Carry out STUDY (a name, or the path of a .toml file) on a suite.

    Writes its data as CSV and a figure with standard errors. When the same command is given again
    an interrupted study goes on.
    """
    from fpmc_bench.harness.processes import leave_processes, relaunch
    from fpmc_bench.harness.study import StudyJob
    from fpmc_bench.places import Places
    from fpmc_bench.studies import load_study
    from fpmc_bench.suites import load_suite

    if processes > 1 and "WORLD_SIZE" not in os.environ:
        ctx.exit(relaunch(processes, sys.argv[1:]))
    registry = registry_with_warnings()
    question = load_study(study, registry)
    if sigmas:
        question = question.replaced(sigmas=sigmas)
    chosen = load_suite(suite, registry=registry)
    if items is not None:
        chosen = chosen.replaced(items=items)
    job = StudyJob(
        question,
        chosen,
        out or Path("studies") / f"{question.name}-{chosen.name}",
        registry,
        device,
        memory_budget,
        Places.given(data, teacher),
        not quiet,
        bases,
        {name: value for name, value in asked.items() if value is not None},
    )
    try:
        outcome = job.run()
    finally:
        leave_processes()
    if not outcome.run.is_main:
        return
    _report(question, job.folder, outcome)
    for reason in outcome.stopped:
        click.echo(f"fpmc-bench: {reason}", err=True)
    for name, report in outcome.failures.items():
        click.echo(f"fpmc-bench: {name} failed:\n{report}", err=True)
    ctx.exit(1 if outcome.stopped or outcome.failures else 0)


def _report(question: "Study", folder: Path, outcome: "StudyOutcome") -> None:
    """Data and figure of the study's rows."""
    from fpmc_bench.comparisons import augmentation_points, finetune_points
    from fpmc_bench.leaderboard import build_tables
    from fpmc_bench.record import read_record, write_atomically
    from fpmc_bench.reports import study_figures
    from fpmc_bench.reports.csv import render_csv
    from fpmc_bench.reports.terminal import render_terminal

    run, rows = outcome.run, outcome.rows
    known = [
        read_record(run.directory / "records" / f"{record.stem}.json") for record in run.records
    ]
    title = f"{question.name} on {run.records[0].suite}, {run.records[0].items} items"
    figure: bytes
    if question.view == "table":
        tables = build_tables(known)
        for table in tables:
            click.echo(render_terminal(table) + "\n")
        data, figure = render_csv(*tables), study_figures.draw_table_figure(title, tables)
    else:
        records = {record.entry: (record, values) for record, values in known}
        if question.view == "finetune":
            tuned = finetune_points(rows, records)
            data = study_figures.points_csv(tuned)
            figure = study_figures.draw_finetune_figure(title, tuned)
            click.echo(_finetune_table(tuned))
        else:
            added = augmentation_points(rows, records)
            data = study_figures.points_csv(added)
            figure = study_figures.draw_augmentation_figure(title, added)
            click.echo(_augmentation_table(added))
    for path, content in (
        (folder / f"{question.name}.csv", data.encode()),
        (folder / f"{question.name}.png", figure),
    ):
        write_atomically(path, content)
        click.echo(f"wrote {path}")


def _finetune_table(points: "Sequence[Any]") -> str:
    """Paired differences, a table a base and a line a noise level."""
    from tabulate import tabulate

    blocks = ["change of MSE by fine-tuning in percent of the base's, ± its standard error"]
    for base in dict.fromkeys(point.base for point in points):
        lines: dict[float, list[str]] = {}
        own = [point for point in points if point.base == base]
        for point in own:
            scale = 100 / point.base_mse
            cell = f"{scale * point.difference:+.1f} ± {scale * point.difference_se:.1f}"
            lines.setdefault(point.sigma, []).append(cell)
        rows = [[f"{sigma:.3g}", *lines[sigma]] for sigma in sorted(lines, reverse=True)]
        name = base.split("[")[0]
        headers = ["sigma", *dict.fromkeys(f"{name} {point.axes}" for point in own)]
        blocks.append(tabulate(rows, headers=headers, tablefmt="simple", stralign="right"))
    return "\n\n".join(blocks) + "\n"


def _augmentation_table(points: "Sequence[Any]") -> str:
    from tabulate import tabulate

    columns = sorted({point.sigma for point in points})
    rows: dict[tuple[str, str, float], dict[float, str]] = {}
    for point in points:
        cells = rows.setdefault((point.base, point.augmentation, point.rate), {})
        cells[point.sigma] = f"{point.change_percent:+.1f} ± {point.change_percent_se:.1f}"
    table = tabulate(
        [[*row, *(cells[sigma] for sigma in columns)] for row, cells in rows.items()],
        headers=["base", "augmentation", "|A|/|D|", *(f"sigma {sigma:.3g}" for sigma in columns)],
        tablefmt="simple",
        colalign=("left", "left", "right", *("right" for _ in columns)),
    )
    return f"change of MSE in percent, ± its standard error\n\n{table}\n"
