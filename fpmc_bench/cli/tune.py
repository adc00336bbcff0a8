"""`fpmc-bench tune`: find the schedules of a suite's denoisers."""

from typing import TYPE_CHECKING, Any

import click

from fpmc_bench.cli.common import (
    Given,
    job_options,
    json_option,
    print_json,
    registry_with_warnings,
    toml_text,
)
from fpmc_bench.cli.printing import PrintingCommand, echo

if TYPE_CHECKING:
    from fpmc_bench.catalog.context import Context
    from fpmc_bench.jobs.tune import Tuning, TuningPlan


@click.command(cls=PrintingCommand)
@click.argument("suite", default="digits")
@click.option(
    "-d",
    "--denoiser",
    "denoisers",
    multiple=True,
    metavar="ENTRY",
    help="Only this entry of the suite, or any denoiser: NAME[param=value,...]. With values to try "
    "in braces, NAME[param={a,b,c}], these parameters are tuned, and else those that the denoiser "
    "offers; others stay [default: every entry that offers something to tune].",
)
@click.option(
    "--items",
    type=click.IntRange(min=2),
    default=128,
    show_default=True,
    help="Validation items per sigma: samples of the tuning teacher.",
)
@click.option("--seed", type=click.IntRange(min=0), help="Seed of the validation items.")
@job_options
@json_option
def tune(
    suite: str,
    denoisers: tuple[str, ...],
    items: int,
    seed: int | None,
    given: Given,
    as_json: bool,
) -> None:
    """For each sigma of SUITE find the parameter value nearest to the tuning teacher.

    Prints the errors of all candidates and the lines to put into the suite file.
    """
    from fpmc_bench.catalog.context import load_context
    from fpmc_bench.catalog.entries import chosen_entries
    from fpmc_bench.catalog.finding import load_suite
    from fpmc_bench.catalog.naming import check_entries
    from fpmc_bench.documents.sweeps import parse_sweep
    from fpmc_bench.engine import EngineSettings, using
    from fpmc_bench.harness.cluster.processes import join_processes
    from fpmc_bench.jobs.tune import plan_tuning, tunable
    from fpmc_bench.jobs.tune import tune as tune_entry
    from fpmc_bench.telling.bars import Bar

    registry = registry_with_warnings()
    whole = load_suite(suite, registry=registry)
    if seed is not None:
        whole = whole.replaced(seed=seed)
    sweeps = [parse_sweep(text) for text in denoisers]
    texts = [f"{one.label}={one.base}" if one.label else one.base for one in sweeps]
    chosen = chosen_entries(whole, texts, registry, given.places)
    tried = chosen_entries(whole, denoisers, registry, given.places)
    check_entries(tried.suite, tried.registry, tried.places, complete=False)
    check_entries(chosen.suite, chosen.registry, chosen.places, complete=False)
    device = join_processes(given.device).device
    context = load_context(chosen.suite, chosen.registry, device, chosen.places)
    entries = context.suite.entries if denoisers else tunable(context)
    grids = [one.swept for one in sweeps] or [{}] * len(entries)
    results = []
    for plan in [plan_tuning(context, *one) for one in zip(entries, grids, strict=True)]:
        with (
            using(EngineSettings(given.memory_budget)),
            Bar(f"tune {plan.entry.name}", _trials(context, plan), "trial") as bar,
        ):
            tuning = tune_entry(context, plan, items=items, progress=bar.advance)
        results.append(tuning)
        if not as_json:
            echo(_table(tuning) + "\n")
    if as_json:
        print_json([_as_json(tuning) for tuning in results])


def _trials(context: "Context", plan: "TuningPlan") -> int:
    return len(context.sigmas) * len(plan.candidates)


def _table(tuning: "Tuning") -> str:
    """Of one parameter all errors; of several, which have too many, the best at each sigma."""
    from tabulate import tabulate

    title = f"{tuning.entry}: MSE against the tuning teacher by {', '.join(tuning.parameters)}"
    headers, rows = _all_errors(tuning) if len(tuning.parameters) == 1 else _best_errors(tuning)
    table = tabulate(rows, headers=headers, tablefmt="simple", stralign="right")
    lines = [f"{name} = {toml_text(value)}" for name, value in tuning.chosen.items()]
    return "\n".join([title, "", table, "", *lines])


def _all_errors(tuning: "Tuning") -> tuple[list[str], list[list[str]]]:
    headers = ["sigma", *(f"{value}" for one in tuning.candidates for value in one.values())]
    rows = []
    for sigma, errors in zip(tuning.sigmas, tuning.mean_errors, strict=True):
        best = errors.argmin()
        cells = [f"{e:.3g}{'*' if i == best else ' '}" for i, e in enumerate(errors)]
        rows.append([f"{sigma:.3g}", *cells])
    return headers, rows


def _best_errors(tuning: "Tuning") -> tuple[list[str], list[list[str]]]:
    rows = []
    for sigma, errors in zip(tuning.sigmas, tuning.mean_errors, strict=True):
        best = int(errors.argmin())
        values = [f"{value}" for value in tuning.candidates[best].values()]
        rows.append([f"{sigma:.3g}", *values, f"{errors[best]:.3g}"])
    return ["sigma", *tuning.parameters, "MSE"], rows


def _as_json(tuning: "Tuning") -> dict[str, Any]:
    return {
        "entry": tuning.entry,
        "denoiser": tuning.denoiser,
        "chosen": tuning.chosen,
        "sigmas": tuning.sigmas,
        "candidates": tuning.candidates,
        "mean_errors": tuning.mean_errors.tolist(),
    }
