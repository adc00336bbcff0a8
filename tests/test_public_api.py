"""The public names are listed, exist and are explained; asking for the package costs nothing."""

import ast
import doctest
import importlib
import inspect
import os
import pydoc
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import fpmc_bench
from fpmc_bench import contracts, errors, fpmc, hookspecs, testing

MODULES = (fpmc_bench, contracts, errors, fpmc, hookspecs, testing)
by_name = pytest.mark.parametrize("module", MODULES, ids=lambda module: module.__name__)


def public_names(statements: list[ast.stmt], is_package: bool) -> Iterator[str]:
    """What a module defines without an underscore; of a package, what it imports of ours too."""
    for node in statements:
        if isinstance(node, ast.ClassDef | ast.FunctionDef):
            yield node.name
        elif isinstance(node, ast.Assign):
            yield from (target.id for target in node.targets if isinstance(target, ast.Name))
        elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            yield node.target.id
        elif isinstance(node, ast.If):
            yield from public_names(node.body, is_package)
        elif isinstance(node, ast.ImportFrom) and is_package:
            ours = str(node.module).split(".")[0] == "fpmc_bench"
            yield from (alias.name for alias in node.names if ours)


def defined_in(path: Path) -> set[str]:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    found = public_names(tree.body, is_package=path.name == "__init__.py")
    return {name for name in found if not name.startswith("_")}


@by_name
def test_every_listed_name_is_importable(module: object) -> None:
    assert all(hasattr(module, name) for name in module.__all__)


@by_name
def test_everything_public_is_listed(module: object) -> None:
    assert set(module.__all__) == defined_in(Path(module.__file__))


@by_name
def test_names_are_listed_in_order(module: object) -> None:
    def order(name: str) -> tuple[bool, bool, str]:
        return not name.isupper(), not name[0].isupper(), name  # CONSTANTS, Classes, functions

    assert module.__all__ == sorted(set(module.__all__), key=order)


def test_every_part_of_the_contract_is_listed() -> None:
    folder = Path(contracts.__file__).parent
    found = set().union(*(defined_in(path) for path in folder.glob("[!_]*.py")))
    assert found == set(contracts.__all__) - set(errors.__all__) - {"ImageShape", "Source"}


def test_every_exception_is_part_of_the_contract() -> None:
    assert set(errors.__all__) < set(contracts.__all__)


def test_lazy_names_come_from_their_homes() -> None:
    assert set(fpmc_bench._HOMES) == set(fpmc_bench.__all__) <= set(dir(fpmc_bench))
    for name, home in fpmc_bench._HOMES.items():
        assert getattr(fpmc_bench, name) is getattr(importlib.import_module(home), name)


def test_the_manual_explains_every_name_in_a_line() -> None:
    lines = str(fpmc_bench.__doc__).splitlines()
    explained = [line.split()[0] for line in lines if line.startswith("    ") and ">" not in line]
    assert sorted(explained) == sorted(fpmc_bench.__all__)
    manual = pydoc.render_doc(fpmc_bench, renderer=pydoc.plaintext)
    functions = [name for name in explained if inspect.isfunction(getattr(fpmc_bench, name))]
    assert all(f"\n    {name}(" in manual for name in functions)


def test_the_example_of_the_manual_runs() -> None:
    assert doctest.testmod(fpmc_bench) == doctest.TestResults(failed=0, attempted=8)


def test_another_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="has no attribute 'denoise_all'"):
        _ = fpmc_bench.denoise_all


def test_every_exception_is_exported_and_drawn() -> None:
    raised = {
        name
        for name, value in vars(errors).items()
        if isinstance(value, type) and issubclass(value, Exception)
    }
    assert raised == set(errors.__all__)
    assert all(name in str(errors.__doc__) for name in raised)
    assert all(issubclass(getattr(errors, name), errors.FpmcBenchError) for name in raised)


def modules_after(statement: str) -> set[str]:
    """The modules of a fresh interpreter that has run one statement."""
    result = subprocess.run(
        [sys.executable, "-c", f"{statement}\nimport sys\nprint(*sys.modules)"],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        capture_output=True,
        text=True,
        check=True,
    )
    return set(result.stdout.split())


@pytest.mark.parametrize("module", ["fpmc_bench", "fpmc_bench.cli", "fpmc_bench.results.table"])
def test_torch_is_not_imported_before_it_is_needed(module: str) -> None:
    loaded = modules_after(f"import {module}")
    assert module in loaded
    assert loaded.isdisjoint({"torch", "matplotlib", "sklearn", "accelerate"})


def test_torch_is_imported_when_it_is_needed() -> None:
    assert "torch" in modules_after("from fpmc_bench import sigma_grid")
