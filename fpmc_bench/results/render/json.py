"""Tables as JSON, for programs: numbers as they are, null for what is not a number."""

import json
import math
from dataclasses import asdict
from typing import Any

from fpmc_bench.documents.record import Figure
from fpmc_bench.results.statistics import Difference
from fpmc_bench.results.table import Table


def render_json(*tables: Table) -> str:
    """A list of tables."""
    return json.dumps(plain_tables(*tables), indent=2, allow_nan=False) + "\n"


def plain_tables(*tables: Table) -> list[dict[str, Any]]:
    """Tables as dicts, lists, text and finite numbers."""
    return [_table(table) for table in tables]


def _table(table: Table) -> dict[str, Any]:
    return {
        "suite": table.suite,
        "suite_fingerprint": table.suite_fingerprint,
        "protocol": table.protocol,
        "reference": table.reference,
        "items": table.items,
        "groups": table.groups,
        "metrics": list(table.metrics),
        "sigmas": list(table.sigmas),
        "rows": [
            {
                "rank": row.rank,
                "entry": row.entry,
                "role": "other network" if row.rank is None else "entry",
                "best": row.best,
                "from_best": row.from_best and _from_best(row.from_best),
                "figures": {
                    name: {**_figure(figure), "item_error": _number(row.item_errors[name])}
                    for name, figure in row.figures.items()
                },
                "by_sigma": [_figure(figure) for figure in row.by_sigma],
                "seconds_per_query": row.seconds_per_query,
                "verification": row.verification,
                "remarks": list(row.remarks),
            }
            for row in table.rows
        ],
        "failed": [asdict(row) for row in table.failed],
        "caption": list(table.caption),
    }


def _from_best(behind: Difference) -> dict[str, float | None]:
    return {
        "difference": _number(behind.mean),
        "standard_error": _number(behind.standard_error),
        "p_value": _number(behind.p_value),
    }


def _figure(figure: Figure) -> dict[str, Any]:
    return {name: _number(value) for name, value in figure.model_dump().items()}


def _number(value: float) -> float | None:
    return value if math.isfinite(value) else None
