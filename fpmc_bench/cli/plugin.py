"""`fpmc-bench plugin check` and `fpmc-bench plugin new`: for whoever writes one."""

from pathlib import Path

import click

from fpmc_bench.cli.common import (
    data_option,
    json_option,
    print_json,
    registry_with_warnings,
    teacher_option,
)
from fpmc_bench.cli.printing import PrintingCommand, PrintingGroup, echo


@click.group(cls=PrintingGroup)
def plugin() -> None:
    """Write a plugin: a distribution to start from, and what it has to keep."""


@plugin.command(cls=PrintingCommand)
@click.argument("name")
@click.option(
    "--kind",
    type=click.Choice(["denoiser", "augmentation", "teacher", "dataset"]),
    default="denoiser",
    show_default=True,
    help="What it is a plugin of.",
)
@click.option(
    "--into",
    type=click.Path(file_okay=False, path_type=Path),
    default=Path(),
    show_default="here",
    help="The folder that the new one is made in.",
)
def new(name: str, kind: str, into: Path) -> None:
    """Write a distribution with one plugin, NAME, whose tests pass as they come.

    NAME has small letters, digits and dashes, as my-denoiser; it names the plugin, its distribution
    and its folder. Nothing is overwritten.
    """
    from fpmc_bench.jobs.plugin_new import NewPlugin, write_plugin

    plugin = NewPlugin(name, kind, registry_with_warnings())
    folder = write_plugin(plugin, into)
    for place in sorted(path for path in folder.rglob("*") if path.is_file()):
        echo(f"wrote {place}")
    run = f"\n    fpmc-bench run {name}" if kind == "denoiser" else ""
    echo(
        f"\nNext:\n    python -m pip install -e '{folder}[test]'\n"
        f"    python -m pytest {folder}\n    fpmc-bench plugin check {name}{run}\n\n"
        f"Yours is the class {plugin.cls} in {folder / plugin.package / kind}.py."
    )


@plugin.command(cls=PrintingCommand)
@click.argument("what", nargs=-1, required=True)
@data_option
@teacher_option
@json_option
@click.pass_context
def check(
    ctx: click.Context,
    what: tuple[str, ...],
    data: tuple[str, ...],
    teacher: tuple[str, ...],
    as_json: bool,
) -> None:
    """Check what every plugin promises of WHAT: a name, or a class of a file.

    \b
    fpmc-bench plugin check wiener
    fpmc-bench plugin check ./mine.py:Laplace
    fpmc-bench plugin check './mine.py:Laplace[width=2]'    with parameters
    fpmc-bench plugin check ./mine.py                       all that a file defines

    A denoiser is asked on twelve random images 6x5 of three channels, at sigma 80, 1, 0.1 and
    0.002, so that a schedule has four values. For a promise that is broken a short program is
    printed that shows it, and the exit status is 1. docs/plugins.md lists the checks.
    """
    from fpmc_bench.catalog.places import Places
    from fpmc_bench.testing.examination import examine
    from fpmc_bench.testing.findings import complaint, failed, told
    from fpmc_bench.testing.programs import Conditions
    from fpmc_bench.testing.subjects import subjects

    registry_with_warnings()
    conditions = Conditions(places=Places.given(data, teacher))
    found = []
    for one in [subject for text in what for subject in subjects(text)]:
        findings = examine(one, conditions)
        found.append((one, findings))
        if not as_json:
            echo(f"{one.name} ({one.what}, from {one.origin})\n{told(findings)}")
            if wrong := complaint(findings):
                echo(f"\n{wrong}\n")
    if as_json:
        print_json(
            [
                {"name": one.name, "kind": one.what, "from": one.origin, "checks": findings}
                for one, findings in found
            ]
        )
    ctx.exit(1 if any(failed(findings) for _, findings in found) else 0)
