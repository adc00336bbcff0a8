"""The studies that come with fpmc_bench: every TOML file of this folder."""

from pathlib import Path

from fpmc_bench import hookimpl


@hookimpl
def fpmc_studies() -> list[Path]:
    return sorted(Path(__file__).parent.glob("*.toml"))
