"""Finding a study: by the name a plugin gave it, or by the path of a TOML file."""

from pathlib import Path

from fpmc_bench.registry import Registry
from fpmc_bench.study import Study, read_study


def load_study(name_or_path: str, registry: Registry) -> Study:
    """A registered study's name, or a path that ends in .toml or holds a separator."""
    if name_or_path.endswith(".toml") or "/" in name_or_path or "\\" in name_or_path:
        return read_study(Path(name_or_path))
    return read_study(registry.get("studies", name_or_path).item)
