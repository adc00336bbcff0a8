"""For authors of plugins: what every plugin promises, checked by name.

    check_denoiser        a call in a test of yours: AssertionError with every broken promise, and
    check_augmentation    for each a short program that shows it
    check_teacher
    check_dataset

`fpmc-bench plugin check` and `pytest --fpmc-check` do the same without a line of code. Such
programs are made of these:

    plugin_class          the class of a registered plugin, or of FILE.py:Class
    loads                 which images and networks are loaded within a block
    process_changes       which settings of the process a block changes
    random_changes        whose random numbers a block moves
    fresh_cache           a block with an empty cache
    GaussianTeacher       a network for methods that need one

All are imported on first use: pytest looks into this package as it starts.
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from fpmc_bench.testing.kit import (
        check_augmentation,
        check_dataset,
        check_denoiser,
        check_teacher,
    )
    from fpmc_bench.testing.stand_ins import GaussianTeacher
    from fpmc_bench.testing.subjects import plugin_class
    from fpmc_bench.testing.watching import fresh_cache, loads, process_changes, random_changes

__all__ = [
    "GaussianTeacher",
    "check_augmentation",
    "check_dataset",
    "check_denoiser",
    "check_teacher",
    "fresh_cache",
    "loads",
    "plugin_class",
    "process_changes",
    "random_changes",
]

_HOMES = {
    "GaussianTeacher": "stand_ins",
    "check_augmentation": "kit",
    "check_dataset": "kit",
    "check_denoiser": "kit",
    "check_teacher": "kit",
    "fresh_cache": "watching",
    "loads": "watching",
    "plugin_class": "subjects",
    "process_changes": "watching",
    "random_changes": "watching",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'fpmc_bench.testing' has no attribute '{name}'")
    return getattr(importlib.import_module(f"fpmc_bench.testing.{_HOMES[name]}"), name)
