"""Text of a table's cells, shared by the renderers for people: as many digits as are known."""

import math
from collections.abc import Sequence

from fpmc_bench.documents.record import Figure
from fpmc_bench.results.table import FailedRow, Row, Table

NO_RANK = "—"
COMPACT_DIGITS = 3
SECONDS_DIGITS = 2
MOST_DECIMALS = 7


def figure_texts(figures: Sequence[Figure]) -> list[tuple[str, str]]:
    """The means and standard errors of a column, all to the same decimal.

    That is the one which two digits of the smallest error reach: 0.123456 ± 0.00123 alone is
    ("0.1235", "0.0012"). Where a figure needs more than seven decimals both are in scientific
    notation, and the others go without. An error that is not a number reads "?".
    """
    needed = [_decimals(figure) for figure in figures]
    decimals = max((one for one in needed if one is not None and one <= MOST_DECIMALS), default=6)
    return [_texts(figure, own, decimals) for figure, own in zip(figures, needed, strict=True)]


def metric_columns(table: Table) -> list[list[tuple[str, str]]]:
    """Of every metric that is shown, in order, `figure_texts` of all rows."""
    return [figure_texts([row.figures[metric] for row in table.rows]) for metric in table.shown]


def compact_text(figure: Figure) -> str:
    """The mean alone, to three digits."""
    return significant(figure.mean, COMPACT_DIGITS)


def significant(value: float, digits: int) -> str:
    """A number to so many digits, trailing zeros among them: 0.00064 to three is 0.000640."""
    if not math.isfinite(value) or value == 0:
        return f"{value:zg}"
    exponent = _exponent(value, digits - 1)
    if not -4 <= exponent < 4:
        return f"{value:.{digits - 1}e}"
    return f"{value:.{max(digits - 1 - exponent, 0)}f}"


def _decimals(figure: Figure) -> int | None:
    """How many decimals two digits of the error reach, or less than none; None for no error."""
    error = figure.standard_error
    if not (math.isfinite(figure.mean) and math.isfinite(error)) or error == 0:
        return None
    return 1 - _exponent(error, 1)


def _texts(figure: Figure, needed: int | None, decimals: int) -> tuple[str, str]:
    mean, error = figure.mean, figure.standard_error
    if not math.isfinite(mean):
        return str(mean), "?"
    if needed is not None and needed > MOST_DECIMALS:
        digits = max(_exponent(mean, 1) + needed, 0) if mean else 0
        return f"{mean:z.{digits}e}", f"{error:.1e}"
    shown = f"{round(mean, decimals):z.{max(decimals, 0)}f}"
    if needed is None:
        return shown, "0" if error == 0 else "?"
    return shown, f"{round(error, decimals):.{max(decimals, 0)}f}"


def rank_text(row: Row) -> str:
    """The rank; a dash for the other network, which has none."""
    return NO_RANK if row.rank is None else str(row.rank)


def entry_text(row: Row) -> str:
    """The entry's name, with a word beside that of the other network."""
    return f"{row.entry} (other network)" if row.rank is None else row.entry


def failed_text(row: FailedRow) -> str:
    """The name of an entry without figures, with a word beside it."""
    return f"{row.entry} (failed)"


def seconds_text(row: Row) -> str:
    """Seconds per query to two digits."""
    return significant(row.seconds_per_query, SECONDS_DIGITS)


def sigma_columns(table: Table) -> list[list[str]]:
    """Columns with their headers: the noise levels, then the mean `mse@1` of every row."""
    levels = ["sigma", *(f"{sigma:.3g}" for sigma in table.sigmas)]
    return [levels, *([row.entry, *map(compact_text, row.by_sigma)] for row in table.rows)]


def _exponent(value: float, digits: int) -> int:
    """Decimal exponent after rounding to 1 + `digits` digits: 0.0996 to two digits has -1."""
    return int(f"{value:.{digits}e}".partition("e")[2])
