"""What `fpmc-bench plan` says of a run: a table of its rows, and the same for programs."""

from typing import Any

from tabulate import tabulate

from fpmc_bench.harness.forecast.parts import Part
from fpmc_bench.harness.forecast.room import sized
from fpmc_bench.jobs.plan import RunPlan
from fpmc_bench.telling.times import span


def table_of(found: RunPlan) -> str:
    """A line for each row, and for what rows need."""
    parts = found.outlook.parts
    columns = {
        "row": [part.name for part in parts],
        "protocol": [part.protocol or "-" for part in parts],
        "units": [f"{part.units - len(part.lacking)} of {part.units}" for part in parts],
        "each": [_each(part) for part in parts],
        "left": [_left(part) for part in parts],
        "memory": [_size(part.timings.grown_bytes) for part in parts],
        "disk": [_size(part.run_bytes + part.cache_bytes) for part in parts],
        "s.e. of mse@1": [_error(part, found) for part in parts],
        "cache": [found.used.get(part.name, "") for part in parts],
    }
    alignment = ("left", "left", *["right"] * 6, "left")
    return str(
        tabulate(
            columns, headers="keys", tablefmt="simple", disable_numparse=True, colalign=alignment
        )
    )


def _each(part: Part) -> str:
    """Seconds of a unit, of which guesses begin with a tilde."""
    if part.unit_seconds is None:
        return "?" if part.lacking else ""
    about = "~" if part.timings.is_guess else ""
    return f"{about}{_seconds(part.unit_seconds)}"


def _left(part: Part) -> str:
    if not part.lacking:
        return "0 s"
    return "?" if part.is_unknown else _seconds(part.seconds)


def _seconds(seconds: float) -> str:
    return f"{seconds:.2g} s" if seconds < 9.5 else span(seconds)


def _size(size: int | None) -> str:
    return ("" if size == 0 else sized(size)) if size is not None else "?"


def _error(part: Part, found: RunPlan) -> str:
    error = found.errors.get(f"{part.name}.{part.protocol}") if part.is_row else None
    return "" if error is None else f"{error:.2g}"


def plain(found: RunPlan) -> dict[str, Any]:
    """What `--json` prints."""
    outlook = found.outlook
    return {
        "items": found.items,
        "directory": found.directory,
        "processes": outlook.processes,
        "seconds": outlook.seconds,
        "around_seconds": outlook.around_seconds,
        "memory_bytes": outlook.memory_bytes,
        "run_bytes": outlook.run_bytes,
        "cache_bytes": outlook.cache_bytes,
        "untimed": outlook.untimed,
        "line": outlook.line,
        "refusal": found.refusal,
        "doubt": found.doubt,
        "failed": sorted(found.failures),
        "rows": [
            {
                "name": part.name,
                "protocol": part.protocol or None,
                "stage": part.stage,
                "units": part.units,
                "lacking": len(part.lacking),
                "unit_seconds": part.unit_seconds,
                "beginning_seconds": part.beginning,
                "seconds": None if part.is_unknown else part.seconds,
                "guessed": part.timings.is_guess,
                "grown_bytes": part.timings.grown_bytes,
                "run_bytes": part.run_bytes,
                "cache_bytes": part.cache_bytes,
                "standard_error": found.errors.get(f"{part.name}.{part.protocol}")
                if part.is_row
                else None,
                "cache": found.used.get(part.name),
            }
            for part in outlook.parts
        ],
    }
