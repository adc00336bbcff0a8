"""Names of the user's own, from the configuration file, as plugins beside all others."""

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, cast

from fpmc_bench.catalog.configuration import Configuration, OwnDataset, beside
from fpmc_bench.catalog.parameters import make_plugin
from fpmc_bench.catalog.registry import Registered, Registry
from fpmc_bench.contracts import Dataset, FileDataset, Teacher, TeacherModel
from fpmc_bench.errors import FpmcBenchError, UsageError
from fpmc_bench.teachers.function import FunctionTeacher
from fpmc_bench.teachers.given import is_function, is_path, network_at

OWNER = "your configuration"
"""The distribution that these are from, as `fpmc-bench list` shows it."""


def with_own(registry: Registry, configuration: Configuration) -> Registry:
    """The registry with the data sets and networks that the configuration names.

    UsageError, naming file and section, for a plugin that is not there, for parameters that it
    does not take, and for a name that a plugin offers already.
    """
    for name, own in configuration.datasets.items():
        _refuse_taken(registry, configuration, "datasets", name)
        cls = _dataset(registry, configuration, name, own)
        registry = registry.including("datasets", Registered(name, cls, OWNER, ""))
    for name, network in configuration.teachers.items():
        _refuse_taken(registry, configuration, "teachers", name)
        teacher = _teacher(configuration, name, network)
        registry = registry.including("teachers", Registered(name, teacher, OWNER, ""))
    return registry


def _refuse_taken(registry: Registry, configuration: Configuration, kind: str, name: str) -> None:
    if other := registry.items[kind].get(name):
        raise UsageError(
            f"{configuration.file}: {other.origin} offers '{name}' already; give [{kind}.{name}] "
            f"another name"
        )


def _dataset(
    registry: Registry, configuration: Configuration, name: str, own: OwnDataset
) -> type[Dataset]:
    """A subclass of the plugin whose parameters have other defaults."""
    where = f"{configuration.file}: [datasets.{name}]"
    try:
        base: type[Dataset] = registry.get("datasets", own.plugin).item
        plugin = make_plugin(base, own.params)
    except FpmcBenchError as error:
        raise UsageError(f"{where}: {error}") from error
    if name in configuration.places.get("data", {}) and not issubclass(base, FileDataset):
        raise UsageError(f"{where}: '{own.plugin}' is not read from files; leave out the path")
    place = configuration.places.get("data", {}).get(name)
    seen = (
        f"Named in your configuration; read by '{own.plugin}'{f' from {place}' if place else ''}."
    )
    return cast(
        type[Dataset],
        dataclasses.make_dataclass(
            base.__name__,
            [
                (field.name, field.type, _default(getattr(plugin, field.name)))
                for field in dataclasses.fields(base)  # type: ignore[arg-type]
            ],
            bases=(base,),
            namespace={"name": name, "__doc__": f"{base.__doc__}\n{seen}", "__module__": __name__},
            frozen=True,
        ),
    )


def _default(value: Any) -> Any:
    """Of a field, also where values of its type could be changed."""
    return dataclasses.field(default_factory=lambda: value)


@dataclass(frozen=True)
class OwnTeacher(Teacher):
    """A network of your own, named in your configuration file."""

    citation: ClassVar[str] = "your own"
    dataset: ClassVar[str] = ""
    network: ClassVar[str]
    """What `load_teacher` is told."""

    def load(self, device: str) -> TeacherModel:
        given = self.network
        model = (
            FunctionTeacher.named(given, device)
            if is_function(given)
            else network_at(given, device)
        )
        return cast(TeacherModel, dataclasses.replace(cast(Any, model), name=self.name))


def _teacher(configuration: Configuration, name: str, network: str) -> type[Teacher]:
    file = configuration.file
    if not (is_path(network) or is_function(network)):
        raise UsageError(
            f"{file}: [teachers.{name}] network = '{network}' is no network; give a path that ends "
            f"in .safetensors or .pkl, that of a diffusers folder, with a /, or module:function"
        )
    found = network if is_function(network) else beside(file, network)
    namespace: Mapping[str, Any] = {
        "name": name,
        "network": found,
        "__doc__": f"Named in your configuration: {found}.",
    }
    return dataclass(frozen=True)(type("OwnTeacher", (OwnTeacher,), dict(namespace)))
