"""`fpmc-bench finetune`: learn the precisions and responses of a suite's entry."""

import json
import os
import sys
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from fpmc_bench.cli.common import (
    job_options,
    json_option,
    print_json,
    processes_option,
    registry_with_warnings,
)
from fpmc_bench.cli.finetune_options import finetune_options

if TYPE_CHECKING:
    from fpmc_bench.finetune.descent import Descent
    from fpmc_bench.finetune.weights import FinetunedWeights
    from fpmc_bench.harness.finetuning import Finetuning
    from fpmc_bench.harness.processes import Processes


@click.command()
@click.argument("suite", default="digits")
@click.option("--base", default="pspc-flex", show_default=True, metavar="ENTRY",
              help="An entry of the suite, or any denoiser: NAME[param=value,...].")  # fmt: skip
@finetune_options
@click.option("--out", type=click.Path(path_type=Path, dir_okay=False),
              help="Where the weights go [default: SUITE-BASE-AXES.safetensors]; what other "
              "settings made is not overwritten.")  # fmt: skip
@processes_option
@job_options
@json_option
@click.option("--quiet", is_flag=True, help="No progress bars.")
@click.pass_context
def finetune(
    ctx: click.Context,
    /,
    suite: str,
    base: str,
    out: Path | None,
    processes: int,
    device: str,
    data: tuple[str, ...],
    teacher: tuple[str, ...],
    memory_budget: int,
    as_json: bool,
    quiet: bool,
    **asked: Any,
) -> None:
    """Fine-tune an entry of SUITE against its tuning teacher, at every noise level.

    Writes the weights, for denoiser "finetuned", and a figure of how their errors fell. When the
    same command is given again, an interrupted fine-tuning goes on, and a finished one is shown.
    """
    from fpmc_bench.catalog.entries import select_entries
    from fpmc_bench.catalog.finding import load_suite
    from fpmc_bench.catalog.places import Places
    from fpmc_bench.engine import EngineSettings, using
    from fpmc_bench.finetune.plan import FinetunePlan
    from fpmc_bench.harness.finetuning import Finetuning
    from fpmc_bench.harness.planning import make_plan
    from fpmc_bench.harness.processes import join_processes, leave_processes, relaunch
    from fpmc_bench.storage.folders import locked

    settings = FinetunePlan(**{name: value for name, value in asked.items() if value is not None})
    if processes > 1 and "WORLD_SIZE" not in os.environ:
        ctx.exit(relaunch(processes, sys.argv[1:]))
    registry = registry_with_warnings()
    chosen = select_entries(load_suite(suite, registry=registry), (base,), registry)
    name = f"{chosen.name}-{chosen.entries[0].name}-{''.join(settings.axes)}"
    shared = "-shared" if settings.kernels == "shared" else ""
    target = out or Path(f"{name}{shared}.safetensors")
    if target.suffix != ".safetensors":
        raise click.BadParameter(f"must end in .safetensors, got {target}", param_hint="--out")
    joined = join_processes(device)
    try:
        plan = make_plan(chosen, registry, joined.device, Places.given(data, teacher))
        unfinished = target.with_suffix(".finetuning")
        job = Finetuning(plan, plan.contestants[0], settings, unfinished, memory_budget)
        _refuse_others(target, job)
        with locked(unfinished, "fine-tuning", "--out") if joined.is_main else nullcontext():
            joined.wait()
            with using(EngineSettings(memory_budget)):
                _run(job, joined, hidden=quiet)
            joined.wait()
            stopped = joined.is_main and _finish(job, target, as_json)
            joined.wait()
    finally:
        leave_processes()
    ctx.exit(1 if stopped else 0)


def _refuse_others(target: Path, job: "Finetuning") -> None:
    """ParameterError where the weights or their figure would replace something else."""
    from fpmc_bench.errors import ParameterError
    from fpmc_bench.finetune.weights_file import refuse_other_weights

    refuse_other_weights(target, job.expected)
    figure = target.with_suffix(".png")
    if figure.exists() and not target.exists() and not job.folder.exists():
        raise ParameterError(
            f"{figure}, where the figure goes, is there already, without weights beside it; move "
            f"it away, or choose another --out"
        )


def _run(job: "Finetuning", processes: "Processes", *, hidden: bool) -> None:
    """All of this process's levels, with one bar: levels done, and the error of the one at hand."""
    from tqdm import tqdm

    from fpmc_bench.results.compare import change_percent

    mine = list(processes.share(len(job.levels)))
    with tqdm(
        total=len(mine), unit="level", disable=hidden or not processes.is_main, leave=False
    ) as bar:
        bar.update(sum(job.finished(level) for level in mine))

        def progress(level: int, descent: "Descent") -> None:
            sigma, points = descent.problem.sigma, descent.curve
            change = change_percent(points[0].error, descent.best_error)
            loss = points[-1].loss
            shown = "" if loss is None else f", loss {loss:.5f}"
            bar.set_description(
                f"sigma {sigma:.3g}: step {descent.step}{shown}, error {change:+.1f}%"
            )
            if descent.finished:
                bar.update()

        job.run(processes, progress)


def _finish(job: "Finetuning", target: Path, as_json: bool) -> bool:
    """Write and show everything; whether any level had to be stopped."""
    from fpmc_bench.documents.names import row_name
    from fpmc_bench.results.render.finetune_curve import draw_finetune_curves
    from fpmc_bench.storage.atomic import write_atomically

    weights = job.collected()
    weights.save(target)
    figure = target.with_suffix(".png")
    card = weights.card
    curves = {level.sigma: [(p.step, p.error) for p in level.curve] for level in card.levels}
    title = f"{target.stem}: {card.base} on {card.dataset}, {','.join(job.settings.axes)} learned"
    write_atomically(figure, draw_finetune_curves(title, curves))
    if as_json:
        print_json({"weights": str(target), "figure": str(figure), **card.model_dump(mode="json")})
    else:
        click.echo(_table(weights))
        click.echo(f"\nwrote {target}\nwrote {figure}\n")
        click.echo(f'[[entries]]\nname = "{row_name(target.stem)}"\ndenoiser = "finetuned"')
        click.echo(f"params = {{ weights = {json.dumps(str(target))} }}")  # as TOML has it too
    for reason in card.stopped:
        click.echo(f"fpmc-bench: {reason}", err=True)
    return bool(card.stopped)


def _table(weights: "FinetunedWeights") -> str:
    from tabulate import tabulate

    from fpmc_bench.results.compare import change_percent

    card = weights.card
    rows = [
        [
            f"{level.sigma:.3g}",
            f"{level.base_error:.6f}",
            f"{level.best.error:.6f}",
            f"{change_percent(level.base_error, level.best.error):+.1f}",
            level.best.step,
            level.curve[-1].step,
        ]
        for level in card.levels
    ]
    headers = ["sigma", "base MSE", "fine-tuned", "change %", "best step", "steps"]
    title = f"{card.base}: MSE against {card.teacher} on {card.plan['validation_items']} samples"
    table = tabulate(rows, headers=headers, tablefmt="simple", disable_numparse=True,
                     colalign=("right",) * len(headers))  # fmt: skip
    return f"{title}\n\n{table}"
