"""Finding a suite: by the name a plugin gave it, or by the path of a TOML file."""

from pathlib import Path

from fpmc_bench.errors import UnknownNameError
from fpmc_bench.registry import Registry, installed_registry
from fpmc_bench.suite import Suite, read_suite


def load_suite(name_or_path: str | Path, *, registry: Registry | None = None) -> Suite:
    """A registered suite's name, or a path that ends in .toml or holds a separator."""
    text = str(name_or_path)
    if text.endswith(".toml") or "/" in text or "\\" in text:
        return read_suite(Path(text))
    known = registry or installed_registry()
    try:
        return read_suite(known.get("suites", text).item)
    except UnknownNameError as error:
        error.args = (f"{error} A suite file of your own: give its path, ending in .toml.",)
        raise
