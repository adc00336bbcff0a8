"""Finding a suite or a study: by the name a plugin gave it, or by the path of a TOML file.

Paths in such a file are relative to it, wherever the command is called.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from fpmc_bench.catalog.installed import installed_registry
from fpmc_bench.catalog.parameters import place_parameters
from fpmc_bench.catalog.registry import Registry, singular
from fpmc_bench.documents.names import parse_selection, selection_text
from fpmc_bench.documents.protocols import ROLES
from fpmc_bench.documents.study import Study, read_study
from fpmc_bench.documents.suite import Suite, Teachers, read_suite
from fpmc_bench.errors import UnknownNameError
from fpmc_bench.storage.toml_file import refuse_codes
from fpmc_bench.teachers.given import is_path


def load_suite(name_or_path: str | Path, *, registry: Registry | None = None) -> Suite:
    """A suite by its registered name, or by a path: a `Path`, or text that looks like one.

    Which is text that ends in .toml or holds a separator. UnknownNameError for a name that nobody
    offers; SuiteError names the file and every fault.
    """
    known = registry or installed_registry()
    path = _found("suites", name_or_path, known)
    suite = read_suite(path)
    teachers = {role: _from(path, getattr(suite.teachers, role)) for role in ROLES}
    entries = tuple(
        entry.model_copy(update={"params": _params_from(path, entry.denoiser, entry.params, known)})
        for entry in suite.entries
    )
    return suite.model_copy(update={"teachers": Teachers(**teachers), "entries": entries})


def load_study(name_or_path: str | Path, *, registry: Registry | None = None) -> Study:
    """A study, as `load_suite` finds a suite."""
    known = registry or installed_registry()
    path = _found("studies", name_or_path, known)
    study = read_study(path)

    def selection(text: str) -> str:
        name, params = parse_selection(text)
        found = _params_from(path, name, params, known)
        return text if found == params else selection_text(name, found)

    rows = tuple(row.model_copy(update={"base": selection(row.base)}) for row in study.rows)
    bases = tuple(map(selection, study.bases))
    return study.model_copy(update={"rows": rows, "bases": bases})


def _found(kind: str, name_or_path: str | Path, registry: Registry) -> Path:
    text = str(name_or_path)
    looks_like_one = text.endswith(".toml") or "/" in text or "\\" in text
    if isinstance(name_or_path, Path) or looks_like_one:
        return Path(text)
    try:
        found: Path = registry.get(kind, text).item
    except UnknownNameError as error:
        own = f"A {singular(kind)} file of your own: give its path, ending in .toml."
        error.args = (f"{error} {own}",)
        raise
    return found


def _params_from(
    file: Path, denoiser: str, params: Mapping[str, Any], registry: Registry
) -> dict[str, Any]:
    """Parameters whose paths start at the file; of an entry, whose denoiser is not known, all."""
    denoisers = registry.items["denoisers"]
    classes = [denoisers[denoiser]] if denoiser in denoisers else denoisers.values()
    keys = {key for registered in classes for key in place_parameters(registered.item)}
    return {
        key: _from(file, value) if key in keys and isinstance(value, str) else value
        for key, value in params.items()
    }


def _from(file: Path, text: str) -> str:
    """A path from the folder of the file that says it; a name stays as it is."""
    if not is_path(text):
        return text
    refuse_codes(file, text)
    return str(file.parent / Path(text).expanduser())
