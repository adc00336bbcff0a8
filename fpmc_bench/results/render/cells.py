"""Text of a table's cells, shared by the renderers for people: as many digits as are known."""

import math

from fpmc_bench.documents.record import Figure
from fpmc_bench.results.table import FailedRow, Row, Table

NO_RANK = "—"
COMPACT_DIGITS = 3


def mean_and_error_text(figure: Figure) -> tuple[str, str]:
    """The mean to the digit that two digits of its standard error reach, and those two digits.

    0.123456 ± 0.00123 -> ("0.1235", "0.0012"). Where more than seven decimals would be needed both
    are in scientific notation. An error that is not a number reads "?".
    """
    mean, error = figure.mean, figure.standard_error
    if not math.isfinite(mean):
        return str(mean), "?"
    if not math.isfinite(error) or error == 0:
        return f"{mean:.6g}", "0" if error == 0 else "?"
    last = _exponent(error, 1) - 1
    if last < -7:
        digits = max(_exponent(mean, 1) - last, 0) if mean else 0
        return f"{mean:.{digits}e}", f"{error:.1e}"
    decimals = max(-last, 0)
    return f"{round(mean, -last):.{decimals}f}", f"{round(error, -last):.{decimals}f}"


def compact_text(figure: Figure) -> str:
    """The mean alone: at most three digits, and no digit below the second of its error."""
    mean, error = figure.mean, figure.standard_error
    if not math.isfinite(mean) or mean == 0:
        return f"{mean:g}"
    digits = COMPACT_DIGITS - 1
    if error > 0:
        digits = min(digits, max(_exponent(mean, 1) - _exponent(error, 1) + 1, 0))
    exponent = _exponent(mean, digits)
    if not -4 <= exponent < 4:
        return f"{mean:.{digits}e}"
    return f"{mean:.{max(digits - exponent, 0)}f}"


def rank_text(row: Row) -> str:
    """The rank; a dash for the ceiling, which has none."""
    return NO_RANK if row.rank is None else str(row.rank)


def entry_text(row: Row) -> str:
    """The entry's name, with a word beside that of the ceiling."""
    return f"{row.entry} (ceiling)" if row.rank is None else row.entry


def failed_text(row: FailedRow) -> str:
    """The name of an entry without figures, with a word beside it."""
    return f"{row.entry} (failed)"


def seconds_text(row: Row) -> str:
    """Seconds per query to two digits."""
    return f"{row.seconds_per_query:.2g}"


def sigma_columns(table: Table) -> list[list[str]]:
    """Columns with their headers: the noise levels, then the mean `mse@1` of every row."""
    levels = ["sigma", *(f"{sigma:.3g}" for sigma in table.sigmas)]
    return [levels, *([row.entry, *map(compact_text, row.by_sigma)] for row in table.rows)]


def _exponent(value: float, digits: int) -> int:
    """Decimal exponent after rounding to 1 + `digits` digits: 0.0996 to two digits has -1."""
    return int(f"{value:.{digits}e}".partition("e")[2])
