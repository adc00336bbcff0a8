"""A span of time on the command line: 90s, 20min, 2h, 30d."""

import re
from typing import Any

import click

UNITS = {"s": 1, "min": 60, "h": 3600, "d": 86400}


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
            self.fail(f"'{value}' is no span of time; expected one with a unit: 90s, 20min, 2h, 1d")
        return float(match[1]) * UNITS[match[2]]
