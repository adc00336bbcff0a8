"""`fpmc-bench finetune`: learn the precisions and responses of a suite's entry."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

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
from fpmc_bench.cli.finetune_options import finetune_options
from fpmc_bench.cli.printing import PrintingCommand, echo
from fpmc_bench.cli.shown_options import Shown, shown_options

if TYPE_CHECKING:
    from fpmc_bench.finetune.weights import FinetuneCard
    from fpmc_bench.jobs.finetune import FinetuneOutcome


@click.command(cls=PrintingCommand)
@click.argument("suite", default="digits")
@click.option("--base", default="pspc-flex", show_default=True, metavar="ENTRY",
              help="An entry of the suite, or any denoiser: NAME[param=value,...] or "
              "./FILE.py:Class.")  # fmt: skip
@finetune_options
@click.option("--out", type=click.Path(path_type=Path, dir_okay=False),
              help="Where the weights go [default: SUITE-BASE-AXES.safetensors]; what other "
              "settings made is not overwritten.")  # fmt: skip
@processes_option
@job_options
@json_option
@shown_options
@click.pass_context
def finetune(
    ctx: click.Context,
    /,
    suite: str,
    base: str,
    out: Path | None,
    processes: int,
    given: Given,
    as_json: bool,
    shown: Shown,
    **asked: Any,
) -> None:
    """Fine-tune an entry of SUITE against its tuning teacher, at every noise level.

    Writes the weights, for denoiser "finetuned", and a figure of how their errors fell. When the
    same command is given again, an interrupted fine-tuning goes on, and a finished one is shown.
    """
    from fpmc_bench.catalog.entries import chosen_entries
    from fpmc_bench.catalog.finding import load_suite
    from fpmc_bench.finetune.settings import FinetuneSettings
    from fpmc_bench.jobs.finetune import default_weights_path, finetune_entry

    settings = FinetuneSettings(
        **{name: value for name, value in asked.items() if value is not None}
    )
    with shared_by(processes), shown.around_work():
        registry = registry_with_warnings()
        whole = load_suite(suite, registry=registry)
        chosen = chosen_entries(whole, (base,), registry, given.places)
        if len(chosen.suite.entries) > 1:
            raise click.BadParameter(f"must be one denoiser, got {base}", param_hint="--base")
        target = out or default_weights_path(chosen.suite, settings)
        if target.suffix != ".safetensors":
            raise click.BadParameter(f"must end in .safetensors, got {target}", param_hint="--out")
        outcome = finetune_entry(
            chosen.suite,
            settings,
            target,
            chosen.registry,
            device=given.device,
            memory_budget=given.memory_budget,
            places=chosen.places,
            progress=not shown.quiet,
        )
    if outcome is None:
        return
    _show(outcome, as_json)
    ctx.exit(1 if outcome.card.stopped else 0)


def _show(outcome: "FinetuneOutcome", as_json: bool) -> None:
    from fpmc_bench.documents.names import row_name

    card, target = outcome.card, outcome.weights
    if as_json:
        figure = outcome.figure and str(outcome.figure)
        places = {"weights": str(target), "figure": figure}
        print_json({**places, **card.model_dump(mode="json")})
    else:
        echo(_table(card))
        echo(f"\nwrote {target}")
        echo(f"wrote {outcome.figure}\n" if outcome.figure else "")
        echo(f'[[entries]]\nname = "{row_name(target.stem)}"\ndenoiser = "finetuned"')
        echo(f"params = {{ weights = {json.dumps(target.stem)} }}")  # as TOML has it too
        echo(f"# and to any command: --weights {target.stem}={target}")
    for reason in card.stopped:
        echo(f"fpmc-bench: {reason}", err=True)


def _table(card: "FinetuneCard") -> str:
    from tabulate import tabulate

    from fpmc_bench.results.study_points import change_percent

    rows = [
        [
            f"{level.sigma:.3g}",
            f"{level.base_error:.6f}",
            f"{level.best.error:.6f}",
            f"{change_percent(level.base_error, level.best.error):+z.1f}",
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
