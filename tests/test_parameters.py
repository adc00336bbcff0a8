"""Parameters are refused by name: what is unknown, ill-typed or missing never reaches a plugin."""

from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import pytest

from fpmc_bench.catalog.parameters import make_plugin
from fpmc_bench.errors import ParameterError


@dataclass(frozen=True)
class Sample:
    """One parameter of every type that plugins use."""

    name: ClassVar[str] = "sample"

    patch_sizes: tuple[int, ...]
    threshold: float = 0.5
    count: int = 3
    orientation: Literal["rows", "columns"] = "rows"
    clipped: bool = True


GOOD = {"patch_sizes": [3, 5]}


def test_defaults_are_kept_and_lists_stand_for_tuples() -> None:
    assert make_plugin(Sample, GOOD) == Sample(patch_sizes=(3, 5))


def test_every_value_arrives() -> None:
    params = {
        "patch_sizes": [],
        "threshold": 0.25,
        "count": 7,
        "orientation": "columns",
        "clipped": False,
    }
    assert make_plugin(Sample, params) == Sample((), 0.25, 7, "columns", False)


def test_an_integer_stands_for_a_float() -> None:
    threshold = make_plugin(Sample, {**GOOD, "threshold": 1}).threshold
    assert isinstance(threshold, float)
    assert threshold == 1.0


def test_an_unknown_parameter_is_named_with_a_near_one() -> None:
    with pytest.raises(ParameterError) as caught:
        make_plugin(Sample, {**GOOD, "treshold": 0.1})
    message = str(caught.value)
    assert "'sample'" in message
    assert "'treshold'. Did you mean 'threshold'?" in message
    assert "patch_sizes" in message


def test_a_missing_parameter_is_named_with_its_type() -> None:
    with pytest.raises(ParameterError, match=r"sample: parameter 'patch_sizes' is required \(tup"):
        make_plugin(Sample)


@pytest.mark.parametrize(
    ("key", "value", "expected"),
    [
        ("count", True, "int"),
        ("count", 3.5, "int"),
        ("count", "3", "int"),
        ("count", None, "int"),
        ("threshold", "0.5", "float"),
        ("threshold", [0.5], "float"),
        ("threshold", False, "float"),
        ("patch_sizes", 3, r"tuple\[int, ...\]"),
        ("patch_sizes", [3, "5"], r"tuple\[int, ...\]"),
        ("patch_sizes", [3, 5.5], r"tuple\[int, ...\]"),
        ("patch_sizes", [True], r"tuple\[int, ...\]"),
        ("orientation", "diagonal", "rows"),
        ("clipped", 1, "bool"),
        ("clipped", "yes", "bool"),
        ("count", object(), "int"),
    ],
)
def test_an_ill_typed_value_is_refused_by_name(key: str, value: Any, expected: str) -> None:
    with pytest.raises(ParameterError, match=rf"sample: parameter '{key}' must be .*{expected}"):
        make_plugin(Sample, {**GOOD, key: value})


def test_a_long_value_is_shown_shortened() -> None:
    with pytest.raises(ParameterError) as caught:
        make_plugin(Sample, {"patch_sizes": ["x"] * 1000})
    assert len(str(caught.value)) < 300
