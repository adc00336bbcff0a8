"""Finding a suite or a study: by the name a plugin gave it, or by the path of a TOML file."""

from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from fpmc_bench.catalog.registry import Registry, installed_registry, singular
from fpmc_bench.documents.study import Study, read_study
from fpmc_bench.documents.suite import Suite, read_suite
from fpmc_bench.errors import UnknownNameError

Document = TypeVar("Document")


def load_suite(name_or_path: str | Path, *, registry: Registry | None = None) -> Suite:
    """A suite by its registered name, or by a path that ends in .toml or holds a separator.

    UnknownNameError for a name that nobody offers; SuiteError names the file and every fault.
    """
    return _found("suites", name_or_path, read_suite, registry)


def load_study(name_or_path: str | Path, *, registry: Registry | None = None) -> Study:
    """A study, as `load_suite` finds a suite."""
    return _found("studies", name_or_path, read_study, registry)


def _found(
    kind: str,
    name_or_path: str | Path,
    read: Callable[[Path], Document],
    registry: Registry | None,
) -> Document:
    text = str(name_or_path)
    if text.endswith(".toml") or "/" in text or "\\" in text:
        return read(Path(text))
    known = registry or installed_registry()
    try:
        return read(known.get(kind, text).item)
    except UnknownNameError as error:
        own = f"A {singular(kind)} file of your own: give its path, ending in .toml."
        error.args = (f"{error} {own}",)
        raise
