"""Noise levels as their users hand them over: floats, or numbers in arrays and tensors."""

import math
from collections.abc import Iterable
from typing import Any, SupportsFloat

from fpmc_bench.errors import InputError

AnySigma = SupportsFloat
"""A number: of Python or numpy, or a tensor or an array of one."""
AnySigmas = Iterable[Any]
"""Noise levels [S]: a sequence of numbers, a tensor or an array."""


def sigma_of(value: AnySigma) -> float:
    """A noise level as a float; InputError for what is no single number, positive and finite."""
    number = _number(value)
    if not (math.isfinite(number) and number > 0):
        raise InputError(f"sigma must be a positive, finite number, got {_shown(value)}")
    return number


def sigmas_of(values: AnySigmas) -> tuple[float, ...]:
    """Noise levels [S] as floats; InputError for none, and for what no noise level can be."""
    one_axis = isinstance(values, Iterable) and getattr(values, "ndim", 1) == 1
    numbers = [_number(value) for value in values] if one_axis else []
    if not numbers or not all(math.isfinite(number) and number > 0 for number in numbers):
        raise InputError(f"sigmas must be positive and finite, a list [S], got {_shown(values)}")
    return tuple(numbers)


def _number(value: Any) -> float:
    """NaN for what is none."""
    if isinstance(value, str):
        return math.nan
    try:
        return float(value.item() if hasattr(value, "item") else value)
    except (TypeError, ValueError, RuntimeError, OverflowError):
        return math.nan


def _shown(value: object) -> str:
    shape = getattr(value, "shape", ())
    return f"{type(value).__name__} {list(shape)}" if len(shape) else repr(value)
