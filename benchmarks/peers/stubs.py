"""Stand-ins for packages that a peer imports and that the measured classes do not use.

torchvision's data sets, plotting and configuration readers are imported at the top of modules
whose arithmetic never touches them. Where such a package is installed, the real one is used.
"""

import importlib.util
import sys
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any


class Stub(ModuleType):
    """A module in which every name is an empty class, good for inheriting and annotations."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.__path__ = []  # a package: `import a.b` then finds a.b in sys.modules
        self.__spec__ = ModuleSpec(name, None)  # importlib.util.find_spec asks for it

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return type(name, (), {})


def stub_missing(*modules: str) -> None:
    """Make these importable, parents first: `stub_missing("a", "a.b")`."""
    for name in modules:
        if name in sys.modules or (not _stubbed(name) and importlib.util.find_spec(name)):
            continue
        sys.modules[name] = Stub(name)
        parent, _, child = name.rpartition(".")
        if parent:
            setattr(sys.modules[parent], child, sys.modules[name])


def _stubbed(name: str) -> bool:
    """Whether the module is part of a package that is itself a stand-in."""
    return isinstance(sys.modules.get(name.partition(".")[0]), Stub)
