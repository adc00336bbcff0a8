"""No code from data: nothing in the package reads a pickle by a reader that could run it."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

import fpmc_bench

ROOTS = (Path(fpmc_bench.__file__).parent, Path(__file__).parents[1] / "plugins")
FILES = [path for root in ROOTS for path in sorted(root.rglob("*.py"))]
MODULES = {"pickle", "_pickle", "cPickle", "dill", "cloudpickle", "joblib", "shelve", "marshal"}


def dangers(code: str) -> Iterator[str]:
    """What of a module could run what a file says."""
    for node in ast.walk(ast.parse(code)):
        if isinstance(node, ast.Import):
            names = {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            names = {str(node.module).split(".")[0]} | {alias.name for alias in node.names}
        else:
            names = set()
        yield from names & (MODULES | {"Unpickler"})
        if isinstance(node, ast.Attribute):
            yield from {node.attr} & {"Unpickler"}
            yield from {ast.unparse(node)} & {"torch.load"}
        if isinstance(node, ast.keyword) and node.arg == "allow_pickle":
            yield from {f"allow_pickle={ast.unparse(node.value)}"} - {"allow_pickle=False"}


@pytest.mark.parametrize(
    "code",
    [
        "import pickle",
        "from pickle import loads",
        "import a, dill.source",
        "class A(other.Unpickler): ...",
        "from numpy.compat import Unpickler",
        "torch.load(path, weights_only=True)",
        "np.load(path, allow_pickle=True)",
        "np.load(path, allow_pickle=trusted)",
    ],
)
def test_a_danger_is_found(code: str) -> None:
    assert list(dangers(code))


def test_no_module_reads_pickles_but_by_the_reader_that_runs_nothing() -> None:
    found = {path.name: list(dangers(path.read_text(encoding="utf-8"))) for path in FILES}
    assert {name: what for name, what in found.items() if what} == {}
