"""How large text is in LaTeX, by the metrics of Computer Modern (cmr10): no LaTeX is needed."""

import math
import re
from collections.abc import Sequence

PAGE_POINTS = 345.0
"""Of a line of `article` at 10 points, the narrowest of the common classes with one column."""
HEIGHT_POINTS = 520.0
"""Of a page of it that tables may fill: 550 less the space around them."""
SIZES = {"normalsize": 1.0, "small": 0.93, "footnotesize": 0.85, "scriptsize": 0.8, "tiny": 0.69}
"""Of letters beside those at 10 points; small ones are wider than in proportion."""
LINE_POINTS = {"normalsize": 12, "small": 11, "footnotesize": 9.5, "scriptsize": 8, "tiny": 6}
"""From one line to the next."""
RULES_POINTS = 20.0
"""Of a table's three rules with the space around them."""
COLUMN_GAPS_POINTS = (6.0, 3.0)
"""LaTeX's own \\tabcolsep, of which a column has one on either side, and half of it."""

_WIDTHS = {
    2.78: "ijl.,:;'!|",
    3.33: "- `",
    3.9: "frstI()[]",
    4.44: "cez",
    5.0: "ago0123456789/*",
    5.28: "kvxyq_",
    5.56: "bdhnpuSJ?^~$",
    7.22: "wABCEFLPRTZ",
    7.78: "+=<>@%&#GHKNOQUVXY",
    8.33: "mD",
    12.2: "±",
    3.97: "⁰¹²³⁴⁵⁶⁷⁸⁹",
    6.2: "⁻",
}
_POINTS = {letter: points for points, letters in _WIDTHS.items() for letter in letters}
WIDEST_POINTS = 10.3
"""Of a letter that is not among these."""
POWER_POINTS = 7.2 + 10.0 + 6.2
"""Of the dot, the ten and the minus sign in 1.2 10^-5; its digits are small ones."""
POWER_DIGIT_POINTS = 4.0
MINUS_POINTS = 7.78
NUMBER = re.compile(r"(-?)([0-9.]+)(?:e[+-]0*([0-9]+))?")


def text_points(text: str) -> float:
    """A cell before it is LaTeX, at 10 points: of 1.2e-05 as a power of ten."""
    if "\n" in text:
        return max(map(text_points, text.split("\n")))
    if "±" in text:
        return _POINTS["±"] + sum(map(text_points, text.split("±", 1)))
    if number := NUMBER.fullmatch(text):
        minus, mantissa, power = number.groups()
        points = MINUS_POINTS * len(minus) + sum(_POINTS[letter] for letter in mantissa)
        return points + (POWER_POINTS + POWER_DIGIT_POINTS * len(power) if power else 0)
    return sum(_POINTS.get(letter, WIDEST_POINTS) for letter in text)


def table_points(lines: Sequence[Sequence[str]], size: str, gap_points: float) -> float:
    """A tabular of these lines of cells."""
    columns = [max(map(text_points, column)) for column in zip(*lines, strict=True)]
    return sum(SIZES[size] * points + 2 * gap_points for points in columns)


def rows_points(lines: Sequence[Sequence[str]], size: str) -> float:
    """How high these lines of cells are, of which some have several lines of text."""
    return sum(LINE_POINTS[size] * (1 + max(cell.count("\n") for cell in row)) for row in lines)


def prose_points(texts: Sequence[str], size: str) -> float:
    """How high paragraphs are over the width of a page; ragged lines are not quite filled."""
    lines = (math.ceil(1.1 * SIZES[size] * text_points(text) / PAGE_POINTS) for text in texts)
    return LINE_POINTS[size] * sum(lines)


def fitting(lines: Sequence[Sequence[str]]) -> tuple[str, float]:
    """The largest letters, and gap between columns, with which a table fits on the page."""
    ways = [(size, gap) for size in SIZES for gap in COLUMN_GAPS_POINTS]
    return next((way for way in ways if table_points(lines, *way) <= PAGE_POINTS), ways[-1])
