"""fpmc_bench: where analytical diffusion models compare their work.

The names below are stable. They are imported on first use, so that `import fpmc_bench` and
`fpmc-bench --help` don't pay for torch.
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from fpmc_bench.catalog.datasets import load_dataset
    from fpmc_bench.catalog.denoisers import build_denoiser
    from fpmc_bench.catalog.finding import load_suite
    from fpmc_bench.catalog.teachers import load_teacher
    from fpmc_bench.diffusion.heun import heun_sample
    from fpmc_bench.diffusion.sigmas import sigma_grid
    from fpmc_bench.fpmc import FPMC
    from fpmc_bench.fpmc.source import Source
    from fpmc_bench.hookspecs import hookimpl
    from fpmc_bench.jobs.run import run_suite
    from fpmc_bench.teachers.sensitivity import sensitivity_maps

__all__ = [
    "FPMC",
    "Source",
    "build_denoiser",
    "heun_sample",
    "hookimpl",
    "load_dataset",
    "load_suite",
    "load_teacher",
    "run_suite",
    "sensitivity_maps",
    "sigma_grid",
]
__version__ = "0.1.0"

_HOMES = {
    "FPMC": "fpmc_bench.fpmc",
    "Source": "fpmc_bench.fpmc.source",
    "build_denoiser": "fpmc_bench.catalog.denoisers",
    "heun_sample": "fpmc_bench.diffusion.heun",
    "hookimpl": "fpmc_bench.hookspecs",
    "load_dataset": "fpmc_bench.catalog.datasets",
    "load_suite": "fpmc_bench.catalog.finding",
    "load_teacher": "fpmc_bench.catalog.teachers",
    "run_suite": "fpmc_bench.jobs.run",
    "sensitivity_maps": "fpmc_bench.teachers.sensitivity",
    "sigma_grid": "fpmc_bench.diffusion.sigmas",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'fpmc_bench' has no attribute '{name}'")
    return getattr(importlib.import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
