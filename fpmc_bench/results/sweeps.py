"""Rows that differ in one parameter alone: error against that parameter. Found in records."""

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from fpmc_bench.documents.record import Record

LEAST_VALUES = 3
"""Two rows are a comparison, and no curve."""


@dataclass(frozen=True)
class SweptRows:
    """Rows in ascending order of a parameter, and what else tells them from those of other lines.

    `others` as param=value,...; "" where there is one line.
    """

    others: str
    values: tuple[float, ...]
    entries: tuple[str, ...]


@dataclass(frozen=True)
class ParameterSweep:
    """One parameter of one denoiser, over some lines of rows that are alike but in that."""

    denoiser: str
    parameter: str
    lines: tuple[SweptRows, ...]


def sweeps_among(records: Sequence[Record]) -> tuple[ParameterSweep, ...]:
    """Of one protocol's records: of every parameter that has at least three values in some rows.

    A schedule counts with its value where that is the same at every noise level; values that are
    infinite have no place on an axis.
    """
    groups: dict[tuple[str, str], dict[str, list[tuple[float, Record]]]] = {}
    for record in records:
        for parameter, given in _entry_params(record).items():
            if (value := _number(given)) is not None:
                group = groups.setdefault((record.provenance.denoiser, parameter), {})
                group.setdefault(_others(record, parameter), []).append((value, record))
    return tuple(
        ParameterSweep(denoiser, parameter, lines)
        for (denoiser, parameter), found in sorted(groups.items())
        if (lines := _lines(parameter, found))
    )


def _entry_params(record: Record) -> dict[str, Any]:
    return {} if record.is_other_network else record.provenance.params


def _number(given: Any) -> float | None:
    """A finite number, or that which a schedule has at every noise level."""
    values = given if isinstance(given, list) and given else [given]
    first = values[0]
    plain = isinstance(first, int | float) and not isinstance(first, bool)
    if not plain or not math.isfinite(first) or any(value != first for value in values):
        return None
    return float(first)


def _others(record: Record, parameter: str) -> str:
    """All but the parameter that the figures of a row follow from, within a table."""
    made = record.provenance.model_dump(mode="json", include={"plugin", "files", "source"})
    params = {key: value for key, value in record.provenance.params.items() if key != parameter}
    return json.dumps([made, params], sort_keys=True)


def _lines(parameter: str, found: dict[str, list[tuple[float, Record]]]) -> tuple[SweptRows, ...]:
    kept = {}
    for others, rows in found.items():
        ordered = sorted(rows, key=lambda pair: (pair[0], pair[1].entry))
        if len({value for value, _ in ordered}) == len(ordered) >= LEAST_VALUES:
            kept[others] = ordered
    return tuple(
        SweptRows(
            _label(rows[0][1], parameter) if len(kept) > 1 else "",
            tuple(value for value, _ in rows),
            tuple(record.entry for _, record in rows),
        )
        for rows in kept.values()
    )


def _label(record: Record, parameter: str) -> str:
    """The other parameters, and what is added to the source."""
    params = {key: v for key, v in record.provenance.params.items() if key != parameter}
    numbers = {key: _number(value) for key, value in params.items()}
    said = [
        f"{key}={json.dumps(params[key]) if number is None else f'{number:g}'}"
        for key, number in numbers.items()
    ]
    added = [f"{one.augmentation} x {one.rate:g}" for one in record.provenance.source.added]
    return ", ".join([*said, *added])
