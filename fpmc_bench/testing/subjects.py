"""What is examined: a class with parameters, and how a program says it."""

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from fpmc_bench.catalog.installed import installed_registry
from fpmc_bench.catalog.parameters import is_schedule, make_plugin
from fpmc_bench.catalog.plugin_file import CLASSES, is_plugin_file, plugins_of_file
from fpmc_bench.catalog.registry import Registered, singular
from fpmc_bench.documents.names import parse_selection
from fpmc_bench.errors import UnknownNameError, UsageError
from fpmc_bench.testing.checks import SIGMAS


@dataclass(frozen=True)
class Subject:
    """A plugin's class with parameters. `header`: the lines of a program that import it."""

    kind: str
    cls: type[Any]
    params: Mapping[str, Any] = field(default_factory=dict)
    header: str = ""
    origin: str = ""

    @property
    def name(self) -> str:
        """By which it is called, whatever it is."""
        return str(getattr(self.cls, "name", self.cls.__name__))

    @property
    def what(self) -> str:
        """One of its kind: "denoiser"."""
        return singular(self.kind)

    @property
    def expression(self) -> str:
        """A program's expression that makes it; raises as `make_plugin`."""
        plugin = make_plugin(self.cls, self.params)
        given = [one.name for one in dataclasses.fields(plugin) if one.name in self.params]
        listed = ", ".join(f"{name}={getattr(plugin, name)!r}" for name in given)
        return f"{self.cls.__name__}({listed})"


def plugin_class(what: str) -> type[Any]:
    """The class of a registered plugin, by its name, or that of FILE.py:Class.

    UsageError and its kin for what names none or several.
    """
    found = [cls for _, cls in _named(what)]
    if len(found) > 1:
        raise UsageError(f"'{what}' names {len(found)} plugins; expected one")
    return found[0].item  # type: ignore[no-any-return]


def subjects(what: str) -> list[Subject]:
    """Everything that NAME[param=value,...] or FILE.py:Class[...] names; FILE.py: all it defines.

    UsageError and its kin for text that can't be read, for what names nothing, and where a
    parameter is required and not given. One value for a schedule stands for every noise level.
    """
    name, params = parse_selection(what)
    found = _named(name)
    asked = []
    for kind, registered in found:
        called = name if len(found) == 1 else f"{name}:{registered.item.__name__}"
        _refuse_incomplete(called, registered.item, params)
        asked.append(_subject(kind, registered, called, _at_every_level(registered.item, params)))
    return asked


def _refuse_incomplete(what: str, cls: type[Any], params: Mapping[str, Any]) -> None:
    """UsageError where a parameter is required and not given: then nothing can be examined."""
    lacking = [
        field.name
        for field in dataclasses.fields(cls)
        if field.default is field.default_factory is dataclasses.MISSING
        and field.name not in params
    ]
    if lacking:
        listed = ",".join(f"{name}=..." for name in lacking)
        raise UsageError(
            f"'{what}' needs a value of {' and '.join(lacking)}: give '{what}[{listed}]'; one for "
            f"a schedule stands for every noise level"
        )


def _at_every_level(cls: type[Any], params: Mapping[str, Any]) -> dict[str, Any]:
    """One value for a schedule stands for every noise level, as in a suite."""
    return {
        key: [value] * len(SIGMAS)
        if is_schedule(cls, key) and not isinstance(value, list)
        else value
        for key, value in params.items()
    }


def subject_of(kind: str, cls: type[Any], params: Mapping[str, Any] | None) -> Subject:
    """A class that is at hand."""
    header = f"from {cls.__module__} import {cls.__name__}"
    return Subject(kind, cls, params or {}, header, cls.__module__)


def _subject(kind: str, registered: Registered, what: str, params: Mapping[str, Any]) -> Subject:
    header = (
        f"from fpmc_bench.testing import plugin_class\n"
        f"{registered.item.__name__} = plugin_class({what!r})"
    )
    return Subject(kind, registered.item, params, header, registered.origin)


def _named(name: str) -> list[tuple[str, Registered]]:
    if is_plugin_file(name):
        return plugins_of_file(name)
    items = installed_registry().items
    found = [(kind, items[kind][name]) for kind in CLASSES if name in items[kind]]
    if not found:
        known = {one for kind in CLASSES for one in items[kind]}
        raise UnknownNameError("plugin", name, known)
    return found
