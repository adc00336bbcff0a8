"""What identifies a plugin, of whatever kind."""

from abc import ABC
from typing import ClassVar


class Plugin(ABC):  # its kinds say what is abstract
    """Base of Denoiser, Augmentation, Teacher and Dataset: derive from one of these."""

    name: ClassVar[str]
    """By which suites and commands call it."""
    citation: ClassVar[str]
    url: ClassVar[str] = ""
    """Where its code or paper is; may be left empty."""
