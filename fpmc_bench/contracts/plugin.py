"""What identifies a plugin, of whatever kind."""

from abc import ABC
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, Literal


class Plugin(ABC):  # its kinds say what is abstract
    """Base of Denoiser, Augmentation, Teacher and Dataset: derive from one of these."""

    name: ClassVar[str]
    """By which suites and commands call it."""
    citation: ClassVar[str]
    url: ClassVar[str] = ""
    """Where its code or paper is; may be left empty."""
    expected_failures: ClassVar[Mapping[str, str]] = {}
    """Names of checks of `fpmc_bench.testing` that it fails by its nature -> the reason of each."""


@dataclass(frozen=True)
class Place:
    """Marks a plugin's parameter as the name of something that its user keeps in a file.

        weights: Annotated[str, Place("weights")]

    A suite says the name, `--weights NAME=PATH` where that is, and the plugin gets the path; a name
    without a place stays as it is. So no place on a disk enters a suite or a record.
    """

    kind: Literal["weights"]
