"""Parameters from a suite or a command line -> a plugin instance; wrong ones refused by name."""

import dataclasses
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, TypeVar, get_args, get_origin, get_type_hints

from pydantic import TypeAdapter, ValidationError

from fpmc_bench.catalog.places import Places
from fpmc_bench.contracts import Place
from fpmc_bench.errors import ParameterError, UnknownNameError

T = TypeVar("T")


def make_plugin(
    cls: type[T], params: Mapping[str, Any] | None = None, places: Places | None = None
) -> T:
    """Instantiate a plugin class (a frozen dataclass) with checked parameters.

    Raises ParameterError for a missing parameter, and as `checked_params`.
    """
    values = checked_params(cls, params, places)
    hints = get_type_hints(cls)
    for field in dataclasses.fields(cls):  # type: ignore[arg-type]
        needed = field.default is field.default_factory is dataclasses.MISSING
        if needed and field.name not in values:
            kind = _type_name(hints[field.name])
            raise ParameterError(f"{_name(cls)}: parameter '{field.name}' is required ({kind})")
    return cls(**values)


def checked_params(
    cls: type, params: Mapping[str, Any] | None = None, places: Places | None = None
) -> dict[str, Any]:
    """Those parameters of a plugin class that are given, as values of their types.

    Raises ParameterError for an ill-typed parameter and for an unknown one, with near names.
    Values are those of JSON and TOML: lists stand for tuples, "3" does not stand for 3. The name of
    something that `places` know (see `contracts.Place`) becomes its path.
    """
    params = params or {}
    for key, kind in place_parameters(cls).items():
        if isinstance(params.get(key), str | Path):
            place = str(params[key])
            params = {**params, key: (places and places.find(kind, place)) or place}
    fields = [field.name for field in dataclasses.fields(cls)]
    hints = get_type_hints(cls)
    for key in params:
        if key not in fields:
            unknown = UnknownNameError(f"parameter of '{_name(cls)}':", key, fields)
            raise ParameterError(str(unknown))
    return {
        key: _checked(_name(cls), key, hints[key], params[key]) for key in fields if key in params
    }


def _name(cls: type) -> str:
    return str(getattr(cls, "name", cls.__name__))


def place_parameters(cls: type) -> dict[str, Literal["weights"]]:
    """The parameters of a plugin class that name something its user keeps, with the kind of it."""
    hints = get_type_hints(cls, include_extras=True)
    return {
        key: mark.kind
        for key, hint in hints.items()
        for mark in getattr(hint, "__metadata__", ())
        if isinstance(mark, Place)
    }


def is_schedule(cls: type, key: str) -> bool:
    """Whether a parameter of a plugin class has a value for every noise level: tuple[T, ...]."""
    hint = get_type_hints(cls).get(key)
    return get_origin(hint) is tuple and get_args(hint)[1:] == (...,)


def _checked(plugin: str, key: str, hint: Any, value: Any) -> Any:
    try:
        return TypeAdapter(hint).validate_json(json.dumps(value), strict=True)
    except (ValidationError, TypeError) as error:
        detail = error.errors()[0]["msg"] if isinstance(error, ValidationError) else str(error)
        shown = repr(value) if len(repr(value)) < 80 else f"{repr(value)[:77]}..."
        raise ParameterError(
            f"{plugin}: parameter '{key}' must be {_type_name(hint)}, got {shown} ({detail})"
        ) from error


def _type_name(hint: Any) -> str:
    return hint.__name__ if isinstance(hint, type) and not hasattr(hint, "__args__") else str(hint)
