"""What the paper lost of its fine-tuning, by experiment: learning rate, zeros, weight decay.

    python benchmarks/finetune_sweep.py digits --base pspc-flex --sigma 1.09 --sigma 0.3
    python benchmarks/finetune_sweep.py digits --base windows --setting kernels=shared

One setting at a time is moved away from the defaults, or those alone that are given; errors are
those on samples of the teacher, relative to the base's, after the same number of steps.
"""

import json
from dataclasses import replace
from typing import Any

import click
from tabulate import tabulate

from fpmc_bench.catalog.entries import select_entries
from fpmc_bench.catalog.finding import load_suite
from fpmc_bench.catalog.installed import installed_registry
from fpmc_bench.catalog.study_rows import nearest_levels
from fpmc_bench.engine.machine.settings import DEFAULT_BUDGET_BYTES
from fpmc_bench.finetune.descent import Descent
from fpmc_bench.finetune.problem import LevelProblem, validation_batch, validation_images
from fpmc_bench.finetune.settings import FinetuneSettings
from fpmc_bench.harness.plan import Plan, make_plan

CHANGES: tuple[dict[str, Any], ...] = (
    {},
    {"learning_rate": 0.003},
    {"learning_rate": 0.01},
    {"learning_rate": 0.1},
    {"zero_precision": 0.5},
    {"zero_precision": 50.0},
    {"zero_response": 0.01},
    {"zero_response": 1.0},
    {"weight_decay": 0.01},
    {"weight_decay": 0.1},
    {"batch": 128},
)


def setting(given: str | dict[str, Any]) -> dict[str, Any]:
    """Turn "learning_rate=0.1,kernels=shared" into what `FinetuneSettings` takes."""
    if isinstance(given, dict):
        return given
    change: dict[str, Any] = {}
    for part in given.split(","):
        name, _, value = part.partition("=")
        try:
            change[name] = json.loads(value)
        except json.JSONDecodeError:
            change[name] = value
    return change


@click.command()
@click.argument("suite", default="digits")
@click.option("--base", default="pspc-flex", show_default=True, help="An entry of the suite.")
@click.option("--sigma", "sigmas", type=float, multiple=True, default=(1.09, 0.3))
@click.option("--steps", default=200, show_default=True)
@click.option("--batch", default=64, show_default=True)
@click.option("--source-images", type=int)
@click.option("--validation-items", default=128, show_default=True)
@click.option("--setting", "changes", type=setting, multiple=True, default=CHANGES,
              metavar="NAME=VALUE,...", help="A line of the table; may be repeated.")  # fmt: skip
def main(
    suite: str,
    base: str,
    sigmas: tuple[float, ...],
    steps: int,
    batch: int,
    source_images: int | None,
    validation_items: int,
    changes: tuple[dict[str, Any], ...],
) -> None:
    """Print a table: a line a setting, a column a noise level, change of MSE in percent."""
    registry = installed_registry()
    chosen = select_entries(load_suite(suite, registry=registry), (base,), registry)
    plan = make_plan(chosen, registry, "cpu")
    levels = nearest_levels(chosen, sigmas)
    settings = FinetuneSettings(
        steps=steps,
        batch=batch,
        source_images=source_images,
        validation_items=validation_items,
        patience=steps,
    )
    rows = []
    for change in changes:
        errors = [change_of_error(plan, level, replace(settings, **change)) for level in levels]
        name = ", ".join(f"{key} {value}" for key, value in change.items()) or "defaults"
        rows.append([name, *(f"{100 * error:+.1f}" for error in errors)])
    headers = ["setting", *(f"sigma {plan.context.sigmas[level]:.3g}" for level in levels)]
    click.echo(tabulate(rows, headers=headers, stralign="right", tablefmt="github"))


def change_of_error(plan: Plan, level: int, settings: FinetuneSettings) -> float:
    """Of the best weights against the base, on teacher samples: -0.1 is a tenth less."""
    context, built = plan.context, plan.built(plan.contestants[0])
    sigma, teacher = context.sigmas[level], context.tuning
    problem = LevelProblem(built.source, teacher, sigma, level, "cpu")
    clean = validation_images(
        teacher, context.dataset.shape, context.sigmas, settings.validation_items, 0, "cpu"
    )
    validation = validation_batch(problem, clean, 0)
    descent = Descent(problem, built.fpmc(sigma), settings, validation, DEFAULT_BUDGET_BYTES)
    descent.start()
    while not descent.finished:
        descent.advance()
    return descent.best_error / descent.curve[0].error - 1


if __name__ == "__main__":
    main()
