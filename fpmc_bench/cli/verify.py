"""`fpmc-bench verify`: items of records computed anew."""

from pathlib import Path

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
from fpmc_bench.cli.isolation import Isolation, isolation_options
from fpmc_bench.cli.printing import PrintingCommand, echo
from fpmc_bench.cli.shown_options import Shown, shown_options


@click.command(cls=PrintingCommand)
@click.argument("records", type=click.Path(exists=True, path_type=Path))
@click.option(
    "--items",
    type=click.IntRange(min=1),
    default=32,
    show_default=True,
    help="Items to compute anew, at least: blocks are computed whole.",
)
@click.option("--all", "all_items", is_flag=True, help="Every item: rows are reproduced.")
@click.option("--entry", "entries", multiple=True, help="Only this row, in all its protocols.")
@click.option(
    "--seed", type=click.IntRange(min=0), help="Chooses the blocks [default: by chance, and said]."
)
@click.option(
    "--tolerance",
    type=click.FloatRange(min=0, min_open=True),
    help="Largest difference of an item that agrees [default: 1e-4].",
)
@click.option(
    "--suite", help="What was measured (a name or a .toml file), where no run.json says it."
)
@click.option(
    "-d",
    "--denoiser",
    "denoisers",
    multiple=True,
    metavar="FILE.py:CLASS",
    help="A denoiser that is not installed, and that rows are of.",
)
@click.option(
    "--attest/--no-attest",
    default=True,
    show_default=True,
    help="Write an attestation beside every record that agrees.",
)
@processes_option
@isolation_options
@job_options
@json_option
@shown_options
@click.pass_context
def verify(
    ctx: click.Context,
    records: Path,
    items: int,
    all_items: bool,
    entries: tuple[str, ...],
    seed: int | None,
    tolerance: float | None,
    suite: str | None,
    denoisers: tuple[str, ...],
    attest: bool,
    processes: int,
    isolation: Isolation,
    given: Given,
    as_json: bool,
    shown: Shown,
) -> None:
    """Compute items of RECORDS anew and compare them: a run directory, a folder of records or one.

    Blocks chosen by chance are computed with the plugins, data and networks of this machine, the
    reference among them. What a record says of data, networks, weights, seed or parameters has to
    be what is here; another kind of device, or other code of a plugin, is said, and items are
    compared all the same.

    The difference of an item is that of its mse@1, relative to this error itself or, where that is
    larger, to the smaller of sigma^2 and the variance of the reference, the mean squared deviation
    of its images from their own means; r2@1 is turned into mse@1.

    Rows that agree get an attestation beside their record, by which tables call them verified, or
    reproduced where every item was computed; a row of which an item does not agree loses its own.
    Exit status 1 where a row does not agree or can't be computed: it says which items, or why.
    """
    from fpmc_bench.documents.attestation import TOLERANCE
    from fpmc_bench.jobs.verify import verify_records

    isolated = isolation.wanted(denoisers)
    with shared_by(processes, "nothing was written", isolated=isolated), shown.around_work():
        found = verify_records(
            records,
            entries=entries,
            suite=suite,
            items=None if all_items else items,
            seed=seed,
            tolerance=tolerance or TOLERANCE,
            attest=attest,
            unit_timeout_s=isolation.unit_timeout_s,
            denoisers=denoisers,
            device=given.device,
            progress=not shown.quiet,
            memory_budget=given.memory_budget,
            places=given.places,
            registry=registry_with_warnings(),
        )
    if found.is_main:
        if as_json:
            print_json(found.plain)
        else:
            echo(found.text)
    ctx.exit(0 if found.agrees or not found.is_main else 1)
