"""What several commands share: warning of broken plugins, and printing JSON."""

import json
import os
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from fpmc_bench.registry import Registry

json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON instead of text.")


def registry_with_warnings() -> "Registry":
    """The installed registry; each broken plugin is one line on stderr, from the main process."""
    from fpmc_bench.registry import installed_registry

    registry = installed_registry()
    for broken in registry.broken if os.environ.get("RANK", "0") == "0" else ():
        click.echo(f"fpmc-bench: {broken}", err=True)
    return registry


def print_json(content: Any) -> None:
    click.echo(json.dumps(content, indent=2, default=str))
