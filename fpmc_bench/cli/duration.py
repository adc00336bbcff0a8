"""A span of time on the command line: 90s, 20min, 2h, 30d; or seconds, as a number."""

import math
import re
from typing import Any

import click

UNITS = {"s": 1, "min": 60, "h": 3600, "d": 86400}
MOST_SECONDS = 366 * UNITS["d"]
"""A year, which every clock takes."""


class Duration(click.ParamType):  # type: ignore[type-arg]  # generic from click 8.3 on
    """A span of time such as 90s, 20min or 2h."""

    name = "time"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> float:
        """Seconds; click's own error for what is no span of time, or none at all."""
        if isinstance(value, float):
            return value
        match = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*(s|min|h|d)\s*", value)
        if match is None or not float(match[1]):
            self.fail(
                f"'{value}' is no span of time; expected one above 0 with a unit: "
                "90s, 20min, 2h, 1d"
            )
        return float(match[1]) * UNITS[match[2]]


class Seconds(click.FloatRange):
    """A number of seconds, of which nan is none."""

    def __init__(self) -> None:
        super().__init__(min=0, min_open=True, max=MOST_SECONDS)

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> float:
        """As a number; click's own error for any other."""
        seconds = float(super().convert(value, param, ctx))
        if math.isnan(seconds):
            self.fail(f"'{value}' is no number of seconds; expected one above 0, as 60")
        return seconds
