"""`fpmc-bench doctor`: does this installation work, and what does it run on?"""

import importlib.metadata
import platform
from typing import TYPE_CHECKING, Any

import click

from fpmc_bench.cli.common import json_option, print_json, registry_with_warnings
from fpmc_bench.cli.printing import PrintingCommand, echo

if TYPE_CHECKING:
    from fpmc_bench.catalog.registry import Registry

PACKAGES = ("torch", "accelerate", "numpy", "scipy", "pandas", "pluggy", "pydantic", "safetensors")


@click.command(cls=PrintingCommand)
@json_option
@click.pass_context
def doctor(ctx: click.Context, as_json: bool) -> None:
    """Show versions, devices and plugins; exit 1 where a plugin is broken, or two clash."""
    import torch
    from tabulate import tabulate

    import fpmc_bench
    from fpmc_bench.engine.machine.arithmetic import arithmetic_on, kind_of
    from fpmc_bench.storage.cache import cache_directory

    registry, problems = _registry()
    facts: dict[str, Any] = {
        "fpmc-bench": fpmc_bench.__version__,
        "python": platform.python_version(),
        **{name: importlib.metadata.version(name) for name in PACKAGES},
        "cpu threads": torch.get_num_threads(),
        "cuda devices": [
            torch.cuda.get_device_name(index) for index in range(torch.cuda.device_count())
        ],
        "cache": str(cache_directory()),
        "arithmetic": {"kind": kind_of("cpu"), **arithmetic_on("cpu").describe()},
        "plugins": {kind: list(named) for kind, named in registry.items.items()},
        "broken plugins": problems,
    }
    if as_json:
        print_json(facts)
    else:
        flat = {key: value for key, value in facts.items() if key != "plugins"}
        flat |= {kind: ", ".join(names) for kind, names in facts["plugins"].items()}
        flat["arithmetic"] = "; ".join(
            f"{key} {value}" for key, value in facts["arithmetic"].items()
        )
        flat["cuda devices"] = ", ".join(facts["cuda devices"]) or "none"
        flat["broken plugins"] = "; ".join(facts["broken plugins"]) or "none"
        echo(tabulate(flat.items(), tablefmt="plain", maxcolwidths=[None, 80]))
    ctx.exit(1 if problems else 0)


def _registry() -> tuple["Registry", list[str]]:
    """All plugins, none where two of them clash, and what is wrong with any."""
    from fpmc_bench.catalog.registry import KINDS, Registry
    from fpmc_bench.errors import PluginError

    try:
        registry = registry_with_warnings()
    except PluginError as clash:
        echo(f"fpmc-bench: {clash}", err=True)
        return Registry({kind: {} for kind in KINDS}), [str(clash)]
    return registry, [str(broken) for broken in registry.broken]
