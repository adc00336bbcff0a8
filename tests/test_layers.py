"""The floors of the house, read off the imports: a room uses its own floor and those below it."""

import ast
import re
from collections.abc import Iterable
from functools import cache
from graphlib import TopologicalSorter
from pathlib import Path
from textwrap import dedent

import pytest

import fpmc_bench
from fpmc_bench import contracts, fpmc, testing

ROOT = Path(fpmc_bench.__file__).parent
REPOSITORY = Path(__file__).parents[1]
PLUGIN_FILES = sorted((REPOSITORY / "plugins").rglob("*.py"))
ARCHITECTURE = REPOSITORY / "docs" / "architecture.md"
GUIDE = REPOSITORY / "docs" / "plugins.md"
PUBLIC = {
    (module.__name__, name)
    for module in (fpmc_bench, contracts, fpmc, testing)
    for name in module.__all__
}
"""All that a plugin may import of fpmc_bench."""


def drawn_floors() -> tuple[tuple[str, ...], ...]:
    """The floors as docs/architecture.md draws them, the lowest first: one drawing, one rule."""
    text = ARCHITECTURE.read_text(encoding="utf-8")
    drawing = text.split("<!-- floors -->")[1].split("```")[1]
    lines = [line.split() for line in drawing.strip().splitlines()]
    return tuple(tuple(room.rstrip(",") for room in line) for line in reversed(lines))


FLOORS = drawn_floors()
DEPTH = {room: depth for depth, rooms in enumerate(FLOORS) for room in rooms}


def name_of(path: Path, root: Path) -> str:
    """fpmc_bench/fpmc/model.py -> fpmc_bench.fpmc.model; a package's __init__ is the package."""
    parts = path.relative_to(root.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


MODULES = {name_of(path, ROOT): path for path in sorted(ROOT.rglob("*.py"))}


@cache
def imports(path: Path) -> frozenset[tuple[str, str]]:
    return frozenset(imports_of(path.read_text(encoding="utf-8")))


def imports_of(code: str) -> set[tuple[str, str]]:
    """(module, name) of every import of a module, inside functions too; name '' for a module."""
    found: set[tuple[str, str]] = set()
    for node in ast.walk(ast.parse(code)):
        if isinstance(node, ast.Import):
            found |= {(alias.name, "") for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"relative import of {node.module}"
            found |= {(str(node.module), alias.name) for alias in node.names}
    return found


def not_public(found: Iterable[tuple[str, str]]) -> set[tuple[str, str]]:
    """Those imports of fpmc_bench that no plugin may make."""
    return {(m, name) for m, name in found if m.split(".")[0] == "fpmc_bench"} - PUBLIC


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


def test_every_room_is_drawn_once_and_every_drawn_room_is_there() -> None:
    rooms = [room for floor in FLOORS for room in floor]
    assert sorted(rooms) == sorted({part_of(name) for name in MODULES} - {""})


@pytest.mark.parametrize("module", [name for name in MODULES if part_of(name)])
def test_a_module_imports_no_higher_floor(module: str) -> None:
    depth = DEPTH[part_of(module)]
    higher = {name for name in own_imports(MODULES[module]) if DEPTH[part_of(name)] > depth}
    assert higher == set()


def test_no_module_imports_itself_by_a_detour() -> None:
    graph = {name: own_imports(path) for name, path in MODULES.items() if part_of(name)}
    list(TopologicalSorter(graph).static_order())  # raises CycleError, which names the cycle


def test_the_engine_knows_neither_plugins_nor_processes() -> None:
    for name, path in MODULES.items():
        if part_of(name) == "engine":
            used = {part_of(other) for other in own_imports(path)}
            assert used <= {"engine", "errors", "fpmc"}


def test_only_the_harness_imports_accelerate() -> None:
    assert importers("accelerate") == {"harness"}


def test_only_results_import_the_plotting_libraries() -> None:
    assert importers("matplotlib") | importers("plotly") <= {"results"}


def test_documents_are_read_and_tables_made_without_torch() -> None:
    assert importers("torch") & {"documents", "results", "errors"} == set()


def test_the_framework_does_not_know_the_built_in_plugins() -> None:
    assert importers("fpmc_plugins") == set()


@pytest.mark.parametrize("path", PLUGIN_FILES, ids=lambda path: path.stem)
def test_plugins_import_only_public_names(path: Path) -> None:
    assert not_public(imports(path)) == set()


def test_the_guide_to_plugins_imports_only_public_names() -> None:
    modules = re.findall(r"```python\n(.*?)```", GUIDE.read_text(encoding="utf-8"), flags=re.DOTALL)
    assert modules
    assert not_public(set().union(*(imports_of(code) for code in modules))) == set()


def test_an_import_that_is_not_public_is_seen() -> None:
    code = """
        import fpmc_bench.engine
        from fpmc_bench import Source, hookspecs
        from fpmc_bench.contracts import Denoiser, FPMC
        def late():
            from fpmc_bench.fpmc.source import Source
    """
    assert not_public(imports_of(dedent(code))) == {
        ("fpmc_bench.engine", ""),
        ("fpmc_bench", "hookspecs"),
        ("fpmc_bench.contracts", "FPMC"),
        ("fpmc_bench.fpmc.source", "Source"),
    }
