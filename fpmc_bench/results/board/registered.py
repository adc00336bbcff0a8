"""The suite that this machine knows by a name, found without importing any plugin.

Plugins register the suites that lie beside their module (`docs/plugins.md`); asking their hooks
would import what they compute with.
"""

import importlib.metadata
import importlib.util
from pathlib import Path

from fpmc_bench.documents.suite import Suite, read_suite
from fpmc_bench.errors import SuiteError

GROUP = "fpmc_bench"


def registered_suite(name: str) -> Suite | None:
    """The suite that lies as NAME.toml beside the module of an entry point; None for none."""
    for entry in importlib.metadata.entry_points(group=GROUP):
        for folder in _folders(entry.module):
            if (path := folder / f"{name}.toml").is_file():
                try:
                    return read_suite(path)
                except SuiteError:  # of a study, or a plugin's of another version
                    continue
    return None


def _folders(module: str) -> list[Path]:
    """Where a module's own file or package is; its top package is found, nothing imported."""
    top, *below = module.split(".")
    try:
        found = importlib.util.find_spec(top)
    except (ImportError, ValueError):
        return []
    if found is None:
        return []
    if found.submodule_search_locations is None:
        return [Path(found.origin).parent] if found.origin else []
    return [Path(place, *below) for place in found.submodule_search_locations]
