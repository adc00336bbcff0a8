"""The stable names exist, and asking for the package alone costs nothing."""

import importlib
import os
import subprocess
import sys

import pytest

import fpmc_bench
from fpmc_bench import errors


@pytest.mark.parametrize("name", fpmc_bench.__all__)
def test_a_stable_name_is_importable(name: str) -> None:
    assert getattr(fpmc_bench, name) is getattr(
        importlib.import_module(fpmc_bench._HOMES[name]), name
    )


def test_all_stable_names_are_listed() -> None:
    assert set(fpmc_bench._HOMES) == set(fpmc_bench.__all__)
    assert fpmc_bench.__all__ == sorted(fpmc_bench.__all__)
    assert set(fpmc_bench.__all__) <= set(dir(fpmc_bench))


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
