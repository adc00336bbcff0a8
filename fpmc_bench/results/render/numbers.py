"""Numbers of a column, to be read below each other: one power of ten, one number of decimals."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from statistics import median

from fpmc_bench.documents.record import Figure

LEAST = 0.1
"""Columns are in units of which their median is at least so many."""
PLAIN_BELOW = 1e4
"""Where the median lies between these there is no power of ten."""
MOST_DECIMALS = 6
"""Of a figure beside its error."""
SMALL_EXPONENT = -5
"""Below which a number alone is in scientific notation."""
SUPERSCRIPTS = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")


@dataclass(frozen=True)
class NumberColumn:
    """Cells in units of 10^`power`, a multiple of three; `errors` of means alone are empty."""

    power: int
    values: tuple[str, ...]
    errors: tuple[str, ...] = ()

    @property
    def unit(self) -> str:
        """10⁻³, or nothing."""
        return f"10{str(self.power).translate(SUPERSCRIPTS)}" if self.power else ""

    def in_ones(self, cell: str) -> str:
        """A cell of this column in units of one: 1.179 in units of 10⁻³ is 0.001179."""
        try:
            value = Decimal(cell).scaleb(self.power)
        except InvalidOperation:
            return cell
        if not value.is_finite():
            return cell
        return f"{value:f}" if value.adjusted() >= SMALL_EXPONENT or not value else f"{value:e}"

    def headed(self, name: str) -> str:
        """A name with the unit behind it: mse@1 (10⁻³)."""
        return f"{name} ({self.unit})" if self.power else name


def figure_column(figures: Sequence[Figure]) -> NumberColumn:
    """Means and standard errors, all to the decimal which two digits of the smallest error reach.

    0.0123456 ± 0.000123 alone is ("12.35", "0.12") in units of 10⁻³. Where a cell needs more than
    six decimals it is in scientific notation, in the same units, and the others go without. An
    error that is not a number reads "?".
    """
    power = _power([figure.mean for figure in figures], LEAST)
    pairs = [(one.mean / 10.0**power, one.standard_error / 10.0**power) for one in figures]
    needed = [_needed(mean, error) for mean, error in pairs]
    few = [one for one in needed if one is not None and one <= MOST_DECIMALS]
    decimals = max(few, default=MOST_DECIMALS)
    texts = [
        _with_error(mean, error, own, decimals)
        for (mean, error), own in zip(pairs, needed, strict=True)
    ]
    return NumberColumn(power, tuple(mean for mean, _ in texts), tuple(error for _, error in texts))


def number_column(
    values: Sequence[float],
    digits: int,
    typical: Callable[[Sequence[float]], float] = median,
    least: float = LEAST,
) -> NumberColumn:
    """Numbers to the decimal which so many digits of a typical one reach.

    One that would read as zero and is none has one digit of its own. The median is at least `least`
    units.
    """
    power = _power(values, least)
    scaled = [value / 10.0**power for value in values]
    known = _known(scaled)
    reached = digits - 1 - _exponent(typical(known), digits - 1) if known else 0
    decimals = min(max(reached, 0), digits)
    return NumberColumn(power, tuple(_alone(value, decimals) for value in scaled))


def significant(value: float, digits: int) -> str:
    """A number to so many digits, trailing zeros among them: 0.00064 to three is 0.000640."""
    if not math.isfinite(value) or value == 0:
        return f"{value:zg}"
    exponent = _exponent(value, digits - 1)
    if not -4 <= exponent < 4:
        return f"{value:.{digits - 1}e}"
    return f"{value:.{max(digits - 1 - exponent, 0)}f}"


def _power(values: Sequence[float], least: float) -> int:
    known = _known(values)
    typical = median(known) if known else 1.0
    return 0 if LEAST <= typical < PLAIN_BELOW else 3 * (_exponent(typical / least, 2) // 3)


def _known(values: Sequence[float]) -> list[float]:
    return [abs(value) for value in values if math.isfinite(value) and value != 0]


def _needed(mean: float, error: float) -> int | None:
    """How many decimals two digits of the error reach, or less than none; None for no error."""
    if not (math.isfinite(mean) and math.isfinite(error)) or error == 0:
        return None
    return 1 - _exponent(error, 1)


def _with_error(mean: float, error: float, needed: int | None, decimals: int) -> tuple[str, str]:
    if not math.isfinite(mean):
        return str(mean), "?"
    if needed is None:
        return _alone(mean, decimals), "0" if error == 0 else "?"
    if needed > MOST_DECIMALS:
        digits = max(_exponent(mean, 1) + needed, 0) if mean else 0
        return f"{mean:z.{digits}e}", f"{error:.1e}"
    return _fixed(mean, decimals), _fixed(error, decimals)


def _alone(value: float, decimals: int) -> str:
    shown = _fixed(value, decimals)
    return f"{value:.1g}" if value != 0 and float(shown) == 0 else shown


def _fixed(value: float, decimals: int) -> str:
    """Rounded to a decimal before the point, too, where there are less than none."""
    rounded = round(value, decimals) if math.isfinite(value) else value
    return f"{rounded:z.{max(decimals, 0)}f}"


def _exponent(value: float, digits: int) -> int:
    """Decimal exponent after rounding to 1 + `digits` digits: 0.0996 to two digits has -1."""
    return int(f"{value:.{digits}e}".partition("e")[2])
