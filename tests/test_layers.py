"""The layers of the house, read off the imports: a module uses its own layer and earlier ones."""

import ast
from functools import cache
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

import fpmc_bench

ROOT = Path(fpmc_bench.__file__).parent
PLUGINS = Path(__file__).parents[1] / "plugins" / "fpmc_plugins"

LAYERS = (
    {"errors", "names", "shapes"},
    {"folders", "source", "union", "fpmc", "places"},
    {"suite", "study", "record", "contracts", "hookspecs", "parameters"},
    {"diffusion", "engine", "statistics", "comparisons"},
    {"networks", "images", "cache", "registry"},
    {"datasets", "suites", "studies", "selection", "teachers", "sensitivity", "denoise"},
    {"protocols", "finetune"},
    {"harness"},
    {"tuning", "speed", "leaderboard", "reports", "training"},
    {"testing"},
    {"cli", "__main__"},
)
"""Modules and packages of fpmc_bench, from the mathematics outwards."""

DEPTH = {name: depth for depth, layer in enumerate(LAYERS) for name in layer}


def name_of(path: Path, root: Path) -> str:
    """fpmc_bench/fpmc/model.py -> fpmc_bench.fpmc.model; a package's __init__ is the package."""
    parts = path.relative_to(root.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


MODULES = {name_of(path, ROOT): path for path in sorted(ROOT.rglob("*.py"))}
PLUGIN_MODULES = {name_of(path, PLUGINS): path for path in sorted(PLUGINS.rglob("*.py"))}


@cache
def imports(path: Path) -> frozenset[tuple[str, str]]:
    """(module, name) of every import of a file, inside functions too; name '' for a module."""
    found: set[tuple[str, str]] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {(alias.name, "") for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            found |= {(str(node.module), alias.name) for alias in node.names}
    return frozenset(found)


def own_imports(path: Path) -> set[str]:
    """The modules of fpmc_bench that a file imports; a lazily exported name counts as its home."""
    found = set()
    for module, name in imports(path):
        if f"{module}.{name}" in MODULES:
            found.add(f"{module}.{name}")
        elif module == "fpmc_bench":
            found.add(fpmc_bench._HOMES.get(name, module))
        elif module.startswith("fpmc_bench."):
            found.add(module)
    return found - {"fpmc_bench"}


def importers(package: str) -> set[str]:
    """The parts of fpmc_bench that import some other package directly."""
    return {
        part_of(name)
        for name, path in MODULES.items()
        if any(module.split(".")[0] == package for module, _ in imports(path))
    }


def part_of(module: str) -> str:
    """fpmc_bench.engine.softmax -> engine."""
    return module.split(".")[1] if "." in module else ""


def test_every_module_has_a_layer() -> None:
    assert {part_of(name) for name in MODULES} - {""} <= set(DEPTH)


@pytest.mark.parametrize("module", [name for name in MODULES if part_of(name)])
def test_a_module_imports_no_later_layer(module: str) -> None:
    depth = DEPTH[part_of(module)]
    later = {name for name in own_imports(MODULES[module]) if DEPTH[part_of(name)] > depth}
    assert later == set()


def test_no_module_imports_itself_by_a_detour() -> None:
    graph = {name: own_imports(path) for name, path in MODULES.items() if part_of(name)}
    list(TopologicalSorter(graph).static_order())  # raises CycleError, which names the cycle


def test_the_engine_knows_neither_plugins_nor_processes() -> None:
    for name, path in MODULES.items():
        if part_of(name) == "engine":
            used = {part_of(other) for other in own_imports(path)}
            assert used <= {"engine", "errors", "fpmc", "shapes", "source"}


def test_only_the_harness_imports_accelerate() -> None:
    assert importers("accelerate") == {"harness"}


def test_only_reports_import_the_plotting_and_page_libraries() -> None:
    assert importers("matplotlib") <= {"reports"}


def test_tables_are_made_without_torch() -> None:
    tables = {"leaderboard", "reports", "statistics", "record", "suite", "errors"}
    assert importers("torch") & tables == set()


def test_the_framework_does_not_know_the_built_in_plugins() -> None:
    assert importers("fpmc_plugins") == set()


@pytest.mark.parametrize("module", PLUGIN_MODULES)
def test_the_built_in_plugins_use_only_public_names(module: str) -> None:
    private = {
        (source, name)
        for source, name in imports(PLUGIN_MODULES[module])
        if source.split(".")[0] == "fpmc_bench"
        and any(part.startswith("_") for part in [*source.split("."), name])
    }
    assert private == set()
