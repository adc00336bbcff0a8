"""`fpmc-bench list` and `fpmc-bench info NAME`: what is installed."""

import dataclasses
from typing import TYPE_CHECKING, Any, get_type_hints

import click

from fpmc_bench.cli.common import json_option, print_json, registry_with_warnings, toml_text
from fpmc_bench.cli.printing import PrintingCommand, echo

if TYPE_CHECKING:
    from fpmc_bench.catalog.registry import Registered

REQUIRED = "required"


@click.command(name="list", cls=PrintingCommand)
@click.argument("kind", required=False)
@click.option("--name", metavar="TEXT", help="Only what has this in its name.")
@json_option
def list_(kind: str | None, name: str | None, as_json: bool) -> None:
    """List what is installed, or one KIND of it.

    Kinds are denoisers, augmentations, teachers, datasets, suites, studies and
    listeners.
    """
    from tabulate import tabulate

    from fpmc_bench.catalog.registry import singular
    from fpmc_bench.errors import UnknownNameError

    registry = registry_with_warnings()
    if kind is not None and kind not in registry.items:
        raise UnknownNameError("kind", kind, registry.items)
    listed = {kind: registry.items[kind]} if kind else registry.items
    if name and not any(name in known for named in listed.values() for known in named):
        raise UnknownNameError(
            "name", name, {known for named in listed.values() for known in named}
        )
    rows = [
        {
            "kind": singular(one),
            "name": item.name,
            "summary": _summary(one, item),
            "from": item.origin,
        }
        for one, named in listed.items()
        for item in named.values()
        if not name or name in item.name
    ]
    if as_json:
        print_json({"plugins": rows, "broken": [vars(broken) for broken in registry.broken]})
    else:
        echo(tabulate(rows, headers="keys", tablefmt="simple", disable_numparse=True))


@click.command(cls=PrintingCommand)
@click.argument("name")
@json_option
def info(name: str, as_json: bool) -> None:
    """Show what NAME is: its description, citation and parameters.

    Or a class of a file, ./FILE.py:Class, or all plugins of a file.
    """
    from fpmc_bench.catalog.plugin_file import is_plugin_file, plugins_of_file
    from fpmc_bench.errors import UnknownNameError

    registry = registry_with_warnings()
    if is_plugin_file(name):
        items = plugins_of_file(name)
    else:
        items = [(kind, named[name]) for kind, named in registry.items.items() if name in named]
    found = [_details(kind, item) for kind, item in items]
    if not found:
        known = {known for named in registry.items.values() for known in named}
        raise UnknownNameError("name", name, known)
    if as_json:
        print_json(found)
        return
    echo("\n\n".join(_as_text(details) for details in found))


def _summary(kind: str, item: "Registered") -> str:
    from pathlib import Path

    if isinstance(item.item, Path):
        from fpmc_bench.documents.study import read_study
        from fpmc_bench.documents.suite import read_suite
        from fpmc_bench.errors import SuiteError

        try:
            if kind == "studies":
                return read_study(item.item).description
            return read_suite(item.item).description
        except SuiteError as error:
            return str(error).splitlines()[0]
    return (item.item.__doc__ or "").strip().partition("\n")[0]


def _details(kind: str, item: "Registered") -> dict[str, Any]:
    from pathlib import Path

    from fpmc_bench.catalog.registry import singular

    details: dict[str, Any] = {"kind": singular(kind), "name": item.name}
    details["from"] = item.origin
    if kind == "studies":
        from fpmc_bench.documents.study import read_study

        return {**details, "study": read_study(item.item).model_dump(mode="json")}
    if isinstance(item.item, Path):
        from fpmc_bench.documents.suite import read_suite

        return {**details, "suite": read_suite(item.item).model_dump(mode="json")}
    hints = get_type_hints(item.item)
    details["description"] = (item.item.__doc__ or "").strip()
    details["citation"] = item.item.citation
    details["url"] = item.item.url
    if getattr(item.item, "formula", ""):
        details["formula"] = item.item.formula
    details["parameters"] = [
        {
            "name": field.name,
            "type": str(hints[field.name]).removeprefix("<class '").removesuffix("'>"),
            "default": _default(field),
        }
        for field in dataclasses.fields(item.item)
    ]
    if hasattr(item.item, "needs"):
        details["needs"] = sorted(item.item.needs)
    if hasattr(item.item, "max_rate"):
        details["max_rate"] = item.item.max_rate
    return details


def _default(field: "dataclasses.Field[Any]") -> Any:
    """The default of a parameter; "required" where it has none."""
    if field.default_factory is not dataclasses.MISSING:
        return field.default_factory()
    return REQUIRED if field.default is dataclasses.MISSING else field.default


def _default_text(value: Any) -> str:
    return REQUIRED if value == REQUIRED else toml_text(value)


def _as_text(details: dict[str, Any]) -> str:
    from tabulate import tabulate

    lines = [f"{details['name']} ({details['kind']}, from {details['from']})"]
    if "suite" in details:
        return "\n".join([*lines, "", _suite_text(details["suite"])])
    if "study" in details:
        facts = [(key, value) for key, value in details["study"].items() if value]
        return "\n".join([*lines, "", tabulate(facts, tablefmt="plain", maxcolwidths=[None, 80])])
    lines += ["", details["description"], "", f"citation: {details['citation']}"]
    if details["url"]:
        lines.append(f"url: {details['url']}")
    if details.get("formula"):
        lines += ["formula:", *(f"    {line}" for line in details["formula"].splitlines())]
    if details.get("needs"):
        lines.append(f"needs: {', '.join(details['needs'])}")
    if "max_rate" in details:
        lines.append(f"rate: images added per image, at most {details['max_rate']:g}")
    if details["parameters"]:
        rows = [
            [one["name"], one["type"], _default_text(one["default"])]
            for one in details["parameters"]
        ]
        headers = ["name", "type", "default"]
        text = tabulate(rows, headers=headers, tablefmt="simple", disable_numparse=True)
        lines += ["", text]
    return "\n".join(lines)


def _suite_text(suite: dict[str, Any]) -> str:
    from tabulate import tabulate

    grid = suite["sigmas"]
    facts = [
        ("description", suite["description"]),
        ("dataset", f"{suite['dataset']['name']} {suite['dataset']['params'] or ''}"),
        ("sigmas", f"{grid['steps']} from {grid['smax']:g} to {grid['smin']:g}"),
        ("tuning teacher", suite["teachers"]["tuning"]),
        ("evaluation teacher", suite["teachers"]["evaluation"]),
        ("items", f"{suite['items']} in blocks of {suite['block_items']}, seed {suite['seed']}"),
        ("protocols", ", ".join(suite["protocols"])),
    ]
    entries = [
        (
            entry["name"],
            entry["denoiser"],
            ", ".join(f"{key}={value}" for key, value in entry["params"].items()),
            ", ".join(f"{one['name']} x {one['rate']:g}" for one in entry["augmentations"]),
        )
        for entry in suite["entries"]
    ]
    table: str = tabulate(
        entries,
        headers=("entry", "denoiser", "parameters", "added to the source"),
        tablefmt="simple",
        disable_numparse=True,
        maxcolwidths=[None, None, 50, None],
    )
    return f"{tabulate(facts, tablefmt='plain')}\n\n{table}"
