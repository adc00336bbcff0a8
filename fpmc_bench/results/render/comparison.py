"""Comparisons of two rows each: as text, JSON and CSV."""

import json
import math
import textwrap
from collections.abc import Sequence
from itertools import groupby
from typing import Any

import pandas as pd
from tabulate import tabulate

from fpmc_bench.documents.text import one_line
from fpmc_bench.results.caption import DEFINITIONS, FEW_GROUPS
from fpmc_bench.results.compare import Comparison
from fpmc_bench.results.intervals import FEWEST, MOST
from fpmc_bench.results.render.csv import as_csv
from fpmc_bench.results.statistics import SIGNIFICANCE

WIDTH_COLUMNS = 100


def render_text(comparisons: Sequence[Comparison]) -> str:
    """A table a protocol, and what its columns mean."""
    parts = []
    for protocol, group in groupby(comparisons, key=lambda one: one.protocol):
        own = list(group)
        title = f"{protocol}: {own[0].metric}, a - b over {_units(own[0])}"
        if folders := _folders(own):
            title += f"\na: {one_line(folders[0])}\nb: {one_line(folders[1])}"
        parts += [title, _table(own, by_entry=folders is not None)]
    parts.append("\n".join(textwrap.fill(one, WIDTH_COLUMNS) for one in _notes(comparisons)))
    return "\n\n".join(parts) + "\n"


def render_json(comparisons: Sequence[Comparison]) -> str:
    """A list; null for what is not known. `needed` of rows that don't differ is "never"."""
    return json.dumps([_plain(one) for one in comparisons], indent=2, allow_nan=False) + "\n"


def render_csv(comparisons: Sequence[Comparison]) -> str:
    """A line a comparison, every number as it is."""
    return as_csv(pd.DataFrame([_plain(one) for one in comparisons]))


def _folders(comparisons: Sequence[Comparison]) -> tuple[str, str] | None:
    """Those of both sides, where every comparison is of one entry in the same two."""
    found = {(one.a.partition("@"), one.b.partition("@")) for one in comparisons}
    places = {(a[2], b[2]) for a, b in found}
    if len(places) > 1 or any(a[0] != b[0] for a, b in found):
        return None
    return places.pop()


def _table(comparisons: Sequence[Comparison], *, by_entry: bool) -> str:
    """A line a comparison; `by_entry`: with one name for both sides."""
    by_sigma = comparisons[0].sigma is not None
    headers = [*(["entry"] if by_entry else ["a", "b"]), *(["sigma"] if by_sigma else [])]
    names = len(headers)
    headers += ["a - b", "± s.e.", "95 % interval", "p", "wins/ties/losses", "to tell apart"]
    lines = [
        [
            *([one.a.partition("@")[0]] if by_entry else [one_line(one.a), one_line(one.b)]),
            *([f"{one.sigma:.3g}"] if by_sigma else []),
            f"{one.difference:+.3g}" if one.difference else "0",
            f"{one.standard_error:.2g}" if math.isfinite(one.standard_error) else "?",
            _interval(one),
            f"{one.adjusted_p:.2g}",
            f"{one.wins}/{one.ties}/{one.losses}",
            _needed(one),
        ]
        for one in comparisons
    ]
    alignment = ["left"] * (names - by_sigma) + ["right"] * (5 + by_sigma) + ["left"]
    text: str = tabulate(
        lines, headers, tablefmt="simple", disable_numparse=True, colalign=alignment
    )
    return text


def _interval(one: Comparison) -> str:
    if one.interval.method == "none":
        return "?"
    if one.interval.low == one.interval.high == 0:
        return "0"
    return f"{one.interval.low:+.3g} to {one.interval.high:+.3g}"


def _needed(one: Comparison) -> str:
    if one.needed is None:
        return "?"
    if one.is_told_apart:
        return "done"
    if math.isinf(one.needed):
        return "never: equal"
    return f"{one.needed:.0f} {'groups' if one.groups else 'items'}"


def _units(one: Comparison) -> str:
    return f"{one.items} items" + (f" in {one.groups} groups" if one.groups else "")


def _notes(comparisons: Sequence[Comparison]) -> list[str]:
    """What the columns mean, a sentence or two each."""
    first, methods = comparisons[0], {one.interval.method for one in comparisons}
    count = max(sum(one.protocol == own.protocol for one in comparisons) for own in comparisons)
    units = "groups" if all(one.groups for one in comparisons) else "items"
    if units == "items" and any(one.groups for one in comparisons):
        units = "items or groups"
    notes = []
    if first.metric in DEFINITIONS:
        notes.append(f"{first.metric}: {DEFINITIONS[first.metric]}.")
    clustered = ", clustered by group where items come in groups" if "groups" in units else ""
    notes.append(f"± is the standard error of the paired difference{clustered}.")
    if few := [one.groups for one in comparisons if one.groups and one.groups < FEW_GROUPS]:
        notes.append(f"Errors of {min(few)} groups are themselves rough.")
    if "BCa" in methods:
        notes.append(f"Intervals are bootstrapped (BCa) over {units}.")
    if "t" in methods:
        notes.append(
            f"With fewer than {FEWEST} items or groups, more than {MOST}, or no difference at all "
            f"an interval is Student's."
        )
    together = f", shared by {count} comparisons" if count > 1 else ""
    adjusted = f", Holm-adjusted for {count} comparisons" if count > 1 else ""
    notes.append(
        f"p is that of a paired t-test, two-sided{adjusted}. wins, ties, losses: items on "
        f"which a is better than b, equal, or worse."
    )
    notes.append(
        f"to tell apart: so many {units}, with differences of this mean and spread, would give "
        f"p < {SIGNIFICANCE:g} in four of five cases{together}; done: these did."
    )
    return notes


def _plain(one: Comparison) -> dict[str, Any]:
    needed: float | str | None = one.needed
    if one.needed is not None:
        needed = "never" if math.isinf(one.needed) else int(one.needed)
    return {
        "protocol": one.protocol,
        "metric": one.metric,
        "a": one.a,
        "b": one.b,
        "sigma": one.sigma,
        "items": one.items,
        "groups": one.groups,
        "difference": _number(one.difference),
        "standard_error": _number(one.standard_error),
        "low": _number(one.interval.low),
        "high": _number(one.interval.high),
        "interval": one.interval.method,
        "p_value": _number(one.p_value),
        "adjusted_p_value": _number(one.adjusted_p),
        "wins": one.wins,
        "ties": one.ties,
        "losses": one.losses,
        "needed": needed,
        "told_apart": one.is_told_apart,
    }


def _number(value: float) -> float | None:
    return value if math.isfinite(value) else None
