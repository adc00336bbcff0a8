"""What `-d` means: an entry of the suite, or any denoiser with parameters.

-d ls                        the suite's entry of that name
-d optimal                   a registered denoiser with its default parameters
-d 'lukoianov[threshold=0.02,orientation="columns"]'    values are JSON
-d './mine.py:Laplace[width=2]'    a class of a file, which needs no registering
-d 'narrow=windows[query_widths=1,response_widths={1,2}]'    two rows: see `documents.sweeps`

One value for a schedule stands for every noise level.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from fpmc_bench.catalog.own_class import registered_class
from fpmc_bench.catalog.parameters import is_schedule, place_parameters
from fpmc_bench.catalog.places import Places
from fpmc_bench.catalog.plugin_file import denoiser_of_file, is_plugin_file
from fpmc_bench.catalog.registry import Registry
from fpmc_bench.contracts import Denoiser
from fpmc_bench.documents.names import parse_selection, selection_name, selection_text
from fpmc_bench.documents.protocols import ROLES
from fpmc_bench.documents.suite import Entry, Suite, Teachers
from fpmc_bench.documents.sweeps import parse_sweep
from fpmc_bench.errors import UnknownNameError, UsageError
from fpmc_bench.teachers.given import is_path, name_of

Selection = str | type[Denoiser]
"""Text as `-d` has it, or a class, which stands for itself with its default parameters."""


@dataclass(frozen=True, eq=False)
class Chosen:
    """A suite of the chosen entries, and the registry and places that know all their names."""

    suite: Suite
    registry: Registry
    places: Places


def chosen_entries(
    suite: Suite, selections: Sequence[Selection], registry: Registry, places: Places
) -> Chosen:
    """`select_entries` with names where the selections have classes, files of code or paths.

    And as many as their braces say. UsageError for a label by which something else is known; else
    as `parse_sweep`, `with_own_denoisers`, `named_selections` and `select_entries` raise.
    """
    choices = [choice for one in selections for choice in _choices(one)]
    texts, registry = with_own_denoisers(suite, [text for _, text in choices], registry)
    named, places = named_selections(suite, texts, registry, places)
    labels = [label for label, _ in choices]
    _refuse_taken(suite, registry, labels)
    return Chosen(select_entries(suite, named, registry, labels), registry, places)


def with_own_denoisers(
    suite: Suite, selections: Sequence[Selection], registry: Registry
) -> tuple[tuple[str, ...], Registry]:
    """Selections by name alone, and the registry with the classes that they bring.

    As `denoiser_of_file` and `registered_class` raise; UsageError for a class whose name another
    denoiser or an entry of the suite has.
    """
    taken = {entry.name for entry in suite.entries} - set(registry.items["denoisers"])
    texts = []
    for one in selections:
        if isinstance(one, str):
            name, params = parse_selection(one)
            if not is_plugin_file(name):
                texts.append(one)
                continue
            own = denoiser_of_file(name)
        else:
            own, params = registered_class("denoisers", one, registry), {}
        if own.name in taken:
            raise UsageError(
                f"suite '{suite.name}' has an entry '{own.name}', which is also the name of "
                f"{own.item.__name__} of {own.origin}; give the class another `name`"
            )
        registry = registry.including("denoisers", own)
        texts.append(selection_text(own.name, params))
    return tuple(texts), registry


def select_entries(
    suite: Suite,
    selections: Sequence[str],
    registry: Registry,
    labels: Sequence[str | None] | None = None,
) -> Suite:
    """The suite with only the selected entries, in the order asked for, called by their `labels`.

    UnknownNameError with near names for one that is neither an entry nor a denoiser.
    """
    if not selections:
        return suite
    entries = []
    for text, label in zip(selections, labels or [None] * len(selections), strict=True):
        entry = _entry(suite, text, registry)
        entries.append({**entry.model_dump(), "name": label or entry.name})
    return suite.replaced(entries=entries)


def _choices(one: Selection) -> list[tuple[str | None, Selection]]:
    return list(parse_sweep(one).choices()) if isinstance(one, str) else [(None, one)]


def _refuse_taken(suite: Suite, registry: Registry, labels: Sequence[str | None]) -> None:
    """UsageError for a label by which something else is known."""
    taken = {entry.name for entry in suite.entries} | set(registry.items["denoisers"])
    for label in labels:
        if label in taken:
            raise UsageError(
                f"'{label}=' would give a row the name of another entry or denoiser; choose one "
                f"that is free"
            )


def without_places(suite: Suite, registry: Registry, places: Places) -> tuple[Suite, Places]:
    """The suite with names where it has paths, and `places` that know these names.

    Weights of entries and networks in roles: a file is named by its stem. UsageError where two
    files would have one name; UnknownNameError for weights that `places` give and that no entry
    asks for.
    """
    weights = dict(places.weights)
    entries: list[Entry] = []
    used: set[str] = set()
    for entry in suite.entries:
        named = _named_params(entry.denoiser, entry.params, registry, weights)
        used |= {str(named[key]) for key in _place_keys(entry.denoiser, registry) if key in named}
        entries.append(entry.model_copy(update={"params": named}))
    for name in places.weights:
        if name not in used:
            raise UnknownNameError("weights", name, used)
    teachers = {str(role): getattr(suite.teachers, role) for role in ROLES}
    paths = {role: name for role, name in teachers.items() if is_path(name)}
    teachers |= {role: name_of(path) for role, path in paths.items()}
    named_suite = suite.model_copy(
        update={"entries": tuple(entries), "teachers": Teachers(**teachers)}
    )
    return named_suite, replace(places, weights=weights, teacher={**paths, **places.teacher})


def named_selections(
    suite: Suite, selections: Sequence[str], registry: Registry, places: Places
) -> tuple[tuple[str, ...], Places]:
    """Selections with names where they have paths, as `without_places` gives them to entries.

    UsageError for text that can't be read, or for two paths of one name.
    """
    weights = dict(places.weights)
    denoisers = {entry.name: entry.denoiser for entry in suite.entries}
    found = []
    for text in selections:
        name, params = parse_selection(text)
        named = _named_params(denoisers.get(name, name), params, registry, weights)
        found.append(text if named == params else selection_text(name, named))
    return tuple(found), replace(places, weights=weights)


def _place_keys(denoiser: str, registry: Registry) -> Collection[str]:
    registered = registry.items["denoisers"].get(denoiser)
    return place_parameters(registered.item) if registered else ()


def _named_params(
    denoiser: str, params: Mapping[str, Any], registry: Registry, weights: dict[str, str]
) -> dict[str, Any]:
    """Parameters without paths; what is named on the way is added to `weights`."""
    named = dict(params)
    for key in _place_keys(denoiser, registry):
        value = params.get(key)
        if isinstance(value, str) and is_path(value):
            named[key] = _named(weights, value)
    return named


def _named(weights: dict[str, str], path: str) -> str:
    name = Path(path).stem
    if weights.setdefault(name, path) != path:
        raise UsageError(
            f"{weights[name]} and {path} would both be named '{name}'; rename one of the files, or "
            f"give it another name with --weights NAME={path}"
        )
    return name


def _entry(suite: Suite, text: str, registry: Registry) -> Entry:
    name, params = parse_selection(text)
    in_suite = {entry.name: entry for entry in suite.entries}
    denoisers = registry.items["denoisers"]
    if name not in in_suite and name not in denoisers:
        raise UnknownNameError("entry or denoiser", name, {*in_suite, *denoisers})
    base = in_suite.get(name) or Entry(name=name, denoiser=name)
    if not params:
        return base
    own = denoisers.get(base.denoiser)
    steps = suite.sigmas.steps
    given = {
        key: [value] * steps if own and _is_one_of_many(own.item, key, value) else value
        for key, value in params.items()
    }
    changes = {"name": selection_name(name, params), "params": {**base.params, **given}}
    return base.model_copy(update=changes)


def _is_one_of_many(cls: type, key: str, value: Any) -> bool:
    """Whether a parameter is a schedule, and the value is that of a single noise level."""
    return not isinstance(value, list) and is_schedule(cls, key)
