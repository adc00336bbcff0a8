"""A plugin of fpmc_bench: one denoiser and one suite."""

from pathlib import Path

from fpmc_bench import hookimpl
from fpmc_bench.contracts import Denoiser

from soft_optimal.denoiser import SoftOptimal


@hookimpl
def fpmc_denoisers() -> list[type[Denoiser]]:
    return [SoftOptimal]


@hookimpl
def fpmc_suites() -> list[Path]:
    return [Path(__file__).with_name("soft-optimal.toml")]
