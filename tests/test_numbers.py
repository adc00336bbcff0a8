"""Numbers of a column: one power of ten, one number of decimals, no false zero."""

import math

import pytest

from fpmc_bench.documents.record import Figure
from fpmc_bench.results.render.numbers import (
    NumberColumn,
    figure_column,
    number_column,
    significant,
)


def column(*pairs: tuple[float, float]) -> NumberColumn:
    return figure_column([Figure(mean=mean, standard_error=error, n=9) for mean, error in pairs])


def cells(*pairs: tuple[float, float]) -> list[tuple[str, str]]:
    shown = column(*pairs)
    return list(zip(shown.values, shown.errors, strict=True))


@pytest.mark.parametrize(
    ("mean", "error", "power", "text"),
    [
        (0.123456, 0.00123, 0, ("0.1235", "0.0012")),
        (0.12, 0.0996, 0, ("0.12", "0.10")),
        (-0.5, 0.25, 0, ("-0.50", "0.25")),
        (1234.6, 123.0, 0, ("1230", "120")),
        (12.34, 3.21, 0, ("12.3", "3.2")),
        (0.0123456, 0.000123, -3, ("12.35", "0.12")),
        (0.00021442, 0.0000072, -3, ("0.2144", "0.0072")),
        (1.2346e-6, 4.56e-8, -6, ("1.235", "0.046")),
        (123456.0, 1230.0, 6, ("0.1235", "0.0012")),
        (1e-9, 2e-8, -9, ("1", "20")),
        (0.0, 2e-9, 0, ("0e+00", "2.0e-09")),
        (0.25, 0.0, 0, ("0.250000", "0")),
        (0.25, math.nan, 0, ("0.250000", "?")),
        (math.nan, math.nan, 0, ("nan", "?")),
    ],
)
def test_as_many_digits_as_the_error_justifies(
    mean: float, error: float, power: int, text: tuple[str, str]
) -> None:
    assert cells((mean, error)) == [text]
    assert column((mean, error)).power == power


def test_a_column_has_one_power_and_one_number_of_decimals() -> None:
    """The power is that of the median, the decimals are those of the smallest error."""
    shown = column((0.0378, 0.0032), (0.0478, 0.0028), (0.1511, 0.0049))
    assert shown.values == ("37.8", "47.8", "151.1")
    assert shown.errors == ("3.2", "2.8", "4.9")
    assert shown.unit == "10⁻³"
    assert shown.headed("mse@1") == "mse@1 (10⁻³)"
    assert [shown.in_ones(cell) for cell in ("37.8", "0.1", "2.0e-04", "0.0", "nan", "?")] == [
        *("0.0378", "0.0001", "2.0e-7", "0.0000", "nan", "?")
    ]


def test_what_is_far_smaller_than_its_column_is_in_scientific_notation() -> None:
    """In units of the column all the same."""
    pairs = [(0.00069, 0.00012), (0.00064, 0.000011), (-0.0001, 0.02), (12.5, 0), (3e-12, 2e-13)]
    assert cells(*pairs) == [
        ("0.690", "0.120"),
        ("0.640", "0.011"),
        ("-0.100", "20.000"),
        ("12500.000", "0"),
        ("3.00e-09", "2.0e-10"),
    ]


def test_no_zero_is_negative() -> None:
    assert [mean for mean, _ in cells((-0.001, 0.3), (-0.0, 0.3), (0.5, 0.3))] == [
        "0.00",
        "0.00",
        "0.50",
    ]
    assert number_column([-0.0, 1.0], 3).values == ("0.00", "1.00")


def test_numbers_alone_reach_the_digits_of_a_typical_one() -> None:
    levels = number_column([1e-5, 1.02e-5, 4e-7, 0.0729, 2e-12, math.nan, 0.0], 3)
    assert levels.unit == "10⁻⁶"
    assert levels.values == ("10.0", "10.2", "0.4", "72900.0", "2e-06", "nan", "0.0")
    assert levels.errors == ()
    seconds = number_column([1.8e-6, 9.7e-5, 1.8e-3, 1.1e-4], 2, min, 1.0)
    assert (seconds.unit, seconds.values) == ("10⁻⁶", ("1.8", "97.0", "1800.0", "110.0"))
    assert number_column([], 3) == NumberColumn(0, ())
    assert number_column([math.nan], 3).values == ("nan",)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.123456, "0.123"),
        (0.00064, "0.000640"),
        (9.9999, "10.0"),
        (1.23456e-5, "1.23e-05"),
        (123456.0, "1.23e+05"),
        (-0.0123, "-0.0123"),
        (-0.0, "0"),
        (math.nan, "nan"),
    ],
)
def test_three_significant_digits(value: float, text: str) -> None:
    assert significant(value, 3) == text
