"""The seven hooks of fpmc_bench, on one screen. Implement any of them with `fpmc_bench.hookimpl`.

[project.entry-points.fpmc_bench]
my_plugin = "my_package.my_module"
"""

from pathlib import Path

import pluggy

from fpmc_bench.contracts import Augmentation, Dataset, Denoiser, Listener, Teacher

__all__ = [
    "PROJECT",
    "fpmc_augmentations",
    "fpmc_datasets",
    "fpmc_denoisers",
    "fpmc_listeners",
    "fpmc_studies",
    "fpmc_suites",
    "fpmc_teachers",
    "hookimpl",
    "hookspec",
]

PROJECT = "fpmc_bench"
"""Of pluggy, and the group of entry points."""
hookspec = pluggy.HookspecMarker(PROJECT)
"""Marks the functions below."""
hookimpl = pluggy.HookimplMarker(PROJECT)
"""Marks a plugin's function that implements one of them."""


@hookspec
def fpmc_denoisers() -> list[type[Denoiser]]:  # type: ignore[empty-body]
    """Denoiser classes: frozen dataclasses derived from FPMCDenoiser or FunctionDenoiser."""


@hookspec
def fpmc_augmentations() -> list[type[Augmentation]]:  # type: ignore[empty-body]
    """Augmentation classes, which add images to a source."""


@hookspec
def fpmc_teachers() -> list[type[Teacher]]:  # type: ignore[empty-body]
    """Teacher classes: trained networks."""


@hookspec
def fpmc_datasets() -> list[type[Dataset]]:  # type: ignore[empty-body]
    """Dataset classes."""


@hookspec
def fpmc_suites() -> list[Path]:  # type: ignore[empty-body]
    """Paths of suite files (TOML)."""


@hookspec
def fpmc_studies() -> list[Path]:  # type: ignore[empty-body]
    """Paths of study files (TOML)."""


@hookspec
def fpmc_listeners() -> list[type[Listener]]:  # type: ignore[empty-body]
    """Listener classes: told what a run does, where `run --listener NAME` asks for them."""
