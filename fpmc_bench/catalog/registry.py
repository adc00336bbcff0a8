"""Entry points -> one frozen Registry value: who offers what, and which plugins are broken."""

import importlib.metadata
import inspect
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import MappingProxyType
from typing import Any

import pluggy

from fpmc_bench import hookspecs
from fpmc_bench.catalog.process_state import own_randomness
from fpmc_bench.catalog.strangers import strangers_code
from fpmc_bench.contracts import Augmentation, Dataset, Denoiser, Listener, Teacher
from fpmc_bench.documents.names import ROW_NAME
from fpmc_bench.errors import PluginError, UnknownNameError, UsageError

KINDS: Mapping[str, type] = {
    "denoisers": Denoiser,
    "augmentations": Augmentation,
    "teachers": Teacher,
    "datasets": Dataset,
    "suites": Path,
    "studies": Path,
    "listeners": Listener,
}
"""Plugin kind -> what its hook `fpmc_<kind>` returns a list of."""


def singular(kind: str) -> str:
    """One of a kind: "denoisers" are each a denoiser, "studies" a study."""
    return "study" if kind == "studies" else kind.removesuffix("s")


@dataclass(frozen=True)
class Registered:
    """One offered thing (a class, or a suite's path) and the distribution that offers it.

    `url` is the first that the distribution gives for itself; "" where it gives none. `code` is a
    sha256 of its code where no distribution has it, as of a file or of a notebook's class.
    """

    name: str
    item: Any
    distribution: str
    version: str
    url: str = ""
    code: str = ""

    @property
    def origin(self) -> str:
        """Distribution and version, for a reader."""
        return f"{self.distribution} {self.version}".rstrip()


@dataclass(frozen=True)
class BrokenPlugin:
    """A plugin that could not be used, and what its user can do about it."""

    entry_point: str
    distribution: str
    version: str
    reason: str

    def __str__(self) -> str:
        return (
            f"plugin '{self.entry_point}' of {self.distribution} {self.version} is broken and left "
            f"out: {self.reason} (update it, or 'pip uninstall {self.distribution}')"
        )


@dataclass(frozen=True)
class Registry:
    """Everything installed, by kind and name. Lookups suggest near names."""

    items: Mapping[str, Mapping[str, Registered]]
    broken: tuple[BrokenPlugin, ...] = field(default=())
    notices: tuple[str, ...] = field(default=())
    """What plugins that can be used changed in the process as they were imported; put back."""

    def get(self, kind: str, name: str) -> Registered:
        """The thing of this kind and name, or UnknownNameError with suggestions."""
        known = self.items[kind]
        if name not in known:
            raise UnknownNameError(singular(kind), name, known)
        return known[name]

    def including(self, kind: str, one: Registered) -> "Registry":
        """The same and one thing more; UsageError where something else has its name."""
        other = self.items[kind].get(one.name)
        if other is not None and other.item is not one.item:
            raise UsageError(
                f"the {singular(kind)} '{one.name}' of {one.origin} has the name of another one, "
                f"of {other.origin}; give the class another `name`"
            )
        named = MappingProxyType({**self.items[kind], one.name: other or one})
        return replace(self, items=MappingProxyType({**self.items, kind: named}))


def build_registry(entry_points: importlib.metadata.EntryPoints) -> Registry:
    """Load each entry point on its own, so that one broken plugin costs only itself.

    Raises PluginError where two distributions offer the same name.
    """
    items: dict[str, dict[str, Registered]] = {kind: {} for kind in KINDS}
    broken: list[BrokenPlugin] = []
    notices: list[str] = []
    for entry in sorted(entry_points, key=lambda e: (e.dist.name if e.dist else "", e.name)):
        distribution = entry.dist.name if entry.dist else "unknown"
        version = entry.dist.version if entry.dist else "unknown"
        url = _url(entry.dist)
        try:
            who = f"plugin '{entry.name}' of {distribution} {version}"
            with own_randomness(), strangers_code(who, notices.append):
                offers = _offers(entry.load())
        except Exception as error:  # what a stranger's module raises is only its own
            reason = " ".join(f"{type(error).__name__}: {error}".split())  # one line, nothing lost
            broken.append(BrokenPlugin(entry.name, distribution, version, reason))
            continue
        for kind, name, item in offers:
            other = items[kind].get(name)
            if other is not None:
                raise PluginError(
                    f"two plugins offer the {singular(kind)} '{name}': "
                    f"{other.origin} and {distribution} {version}; "
                    f"uninstall one of them"
                )
            items[kind][name] = Registered(name, item, distribution, version, url)
    frozen = {kind: MappingProxyType(dict(sorted(named.items()))) for kind, named in items.items()}
    return Registry(MappingProxyType(frozen), tuple(broken), tuple(notices))


def _url(distribution: importlib.metadata.Distribution | None) -> str:
    """The first "Project-URL" of a distribution, which reads "label, url"; "" for none."""
    pages = distribution.metadata.get_all("Project-URL") if distribution else None
    return str(pages[0]).rpartition(", ")[2] if pages else ""


def _offers(plugin: object) -> list[tuple[str, str, Any]]:
    """(kind, name, item) of everything one plugin offers; raises PluginError where it is wrong."""
    manager = pluggy.PluginManager(hookspecs.PROJECT)
    manager.add_hookspecs(hookspecs)
    manager.register(plugin)
    known = [f"fpmc_{kind}" for kind in KINDS]
    for caller in manager.get_hookcallers(plugin) or []:
        if caller.name not in known:
            raise PluginError(str(UnknownNameError("hook", caller.name, known)))
    return [
        (kind, name_of_offer(kind, item), item)
        for kind in KINDS
        for listed in getattr(manager.hook, f"fpmc_{kind}")()
        for item in _as_list(kind, listed)
    ]


def _as_list(kind: str, listed: Any) -> list[Any]:
    if not isinstance(listed, list):
        raise PluginError(f"fpmc_{kind} must return a list, got {listed!r}")
    return listed


def name_of_offer(kind: str, item: Any) -> str:
    """The name by which it is called; PluginError for what is none, and for what is no plugin."""
    name = _stated_name(kind, item)
    if not re.fullmatch(ROW_NAME, name):
        raise PluginError(
            f"the {singular(kind)} {name!r} must be named by letters, digits, '.', '_', '+' and "
            f"'-', a letter or digit first"
        )
    return name


def _stated_name(kind: str, item: Any) -> str:
    expected = KINDS[kind]
    if expected is Path:
        if not isinstance(item, Path):
            raise PluginError(f"fpmc_{kind} must list pathlib.Path objects, got {item!r}")
        return item.stem
    fits = inspect.isclass(item) and issubclass(item, expected)
    if not fits:
        raise PluginError(f"fpmc_{kind} must list subclasses of {expected.__name__}, got {item!r}")
    if inspect.isabstract(item):
        missing = ", ".join(sorted(getattr(item, "__abstractmethods__", ())))
        raise PluginError(f"{item.__name__} lacks {missing}")
    dataclass_params = getattr(item, "__dataclass_params__", None)
    if dataclass_params is None or not dataclass_params.frozen:
        raise PluginError(f"{item.__name__} must be decorated with @dataclass(frozen=True)")
    for attribute in ("name", "citation"):
        if not isinstance(getattr(item, attribute, None), str):
            raise PluginError(f"{item.__name__} needs a class attribute '{attribute}' (a string)")
    if not isinstance(getattr(item, "formula", ""), str):
        raise PluginError(f"{item.__name__}: its class attribute 'formula' must be a string")
    return str(getattr(item, "name"))  # noqa: B009
