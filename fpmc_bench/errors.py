"""Every exception fpmc_bench raises on purpose.

FpmcBenchError                 catch this for all of them
├── UsageError                 what was asked for can't be done: exit status 2
│   ├── UnknownNameError       no such plugin, entry, suite or sigma; suggests near names
│   ├── ParameterError         a parameter is unknown, ill-typed or unfit for the dataset
│   ├── SuiteError             a suite file is malformed
│   ├── InputError             a tensor or image set of the wrong shape, range or value
│   └── MissingFilesError      data or networks that the user has to fetch or point to
├── PluginError                a plugin is broken, misspelled or clashes with another
├── CheckpointError            a weights file is missing, damaged or of another network
└── RunError                   a run directory is busy, foreign or damaged: exit status 1
    └── DiskError              a file can't be written: the disk is full, or closed to us
"""

import difflib
from collections.abc import Iterable

__all__ = [
    "CheckpointError",
    "DiskError",
    "FpmcBenchError",
    "InputError",
    "MissingFilesError",
    "ParameterError",
    "PluginError",
    "RunError",
    "SuiteError",
    "UnknownNameError",
    "UsageError",
]


class FpmcBenchError(Exception):
    """Base of all deliberate errors; its text is fit to show to a user."""


class UsageError(FpmcBenchError):
    """What was asked for can't be done."""


class UnknownNameError(UsageError):
    """A name that nothing answers to. The message suggests near names and lists the known ones."""

    def __init__(self, kind: str, name: str, available: Iterable[str]) -> None:
        known = sorted(available)
        near = difflib.get_close_matches(name, known, n=1, cutoff=0.5)
        hint = f" Did you mean '{near[0]}'?" if near else ""
        listed = ", ".join(known) if known else "none"
        super().__init__(f"Unknown {kind} '{name}'.{hint} Available: {listed}.")
        self.kind, self.name = kind, name


class ParameterError(UsageError):
    """A plugin parameter is unknown, ill-typed or unfit for the dataset."""


class SuiteError(UsageError):
    """A suite file is malformed."""


class InputError(UsageError):
    """A tensor or image set of the wrong shape, range or value."""


class MissingFilesError(UsageError):
    """Data or networks that the user has to fetch or point to; lists all of them at once."""

    def __init__(self, missing: Iterable[str]) -> None:
        self.missing = tuple(missing)
        super().__init__("\n".join(["missing files:", *(f"  {one}" for one in self.missing)]))


class PluginError(FpmcBenchError):
    """A plugin is broken, misspelled or clashes with another."""


class CheckpointError(FpmcBenchError):
    """A weights file is missing, damaged or of another network."""


class RunError(FpmcBenchError):
    """A run directory is busy, foreign or damaged."""


class DiskError(RunError):
    """A file can't be written: the disk is full or read-only, or the folder somebody else's."""
