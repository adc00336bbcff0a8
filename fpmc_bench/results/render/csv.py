"""Tables as CSV: one line a row, every number as it is."""

from typing import Any

import pandas as pd

from fpmc_bench.documents.text import one_line
from fpmc_bench.results.table import RANKED_BY, Row, Table

FORMULAS = ("=", "+", "-", "@")


def render_csv(*tables: Table) -> str:
    """One header for all tables; columns of a metric are `mse` and `mse_se`, of any version.

    `mse_from_best` is the paired difference from the best entry, with the `p_value` of a tie.
    Where items come in groups there are `mse_item_se`, of independent items, and how many `groups`.
    The column `metrics` has the versions, a column `remarks` is there where a row has any. Rows
    that failed come last in their table, with a `reason` in a column that is there for them.
    """
    return as_csv(rows_frame(*tables))


def render_sigma_csv(table: Table) -> str:
    """`mse@1` by noise level, one line an entry and level; the header alone for sample-mse."""
    return as_csv(levels_frame(table).drop(columns=["suite", "protocol"]))


def rows_frame(*tables: Table) -> pd.DataFrame:
    """A line a row, those that failed last, with the columns that `render_csv` names."""
    lines = [line for table in tables for line in (*_figures(table), *_failures(table))]
    return pd.DataFrame(lines).astype({"rank": "Int64"})


def levels_frame(*tables: Table) -> pd.DataFrame:
    """`mse@1` by noise level, a line an entry and level of every table that has levels."""
    lines = [
        (table.suite, table.protocol, row.entry, sigma, figure.mean, figure.standard_error)
        for table in tables
        for row in table.rows
        for sigma, figure in zip(table.sigmas, row.by_sigma, strict=True)
    ]
    name = _column(RANKED_BY)
    columns = ["suite", "protocol", "entry", "sigma", name, f"{name}_se"]
    return pd.DataFrame(lines, columns=columns)


def _figures(table: Table) -> list[dict[str, Any]]:
    return [
        {
            **_shared(table),
            "rank": row.rank,
            "entry": row.entry,
            "role": "other network" if row.rank is None else "entry",
            "best": row.best,
            **{
                column: number
                for metric, figure in row.figures.items()
                for column, number in (
                    (_column(metric), figure.mean),
                    (f"{_column(metric)}_se", figure.standard_error),
                    *(
                        [(f"{_column(metric)}_item_se", row.item_errors[metric])]
                        if table.groups is not None
                        else []
                    ),
                )
            },
            **_from_best(row),
            "seconds_per_query": row.seconds_per_query,
            "verification": row.verification,
            **({"remarks": "; ".join(row.remarks)} if row.remarks else {}),
        }
        for row in table.rows
    ]


def _from_best(row: Row) -> dict[str, float | None]:
    """How much worse a row is than the best, item by item; nothing of the other network."""
    name, behind = f"{_column(RANKED_BY)}_from_best", row.from_best
    return {
        name: behind.mean if behind else None,
        f"{name}_se": behind.standard_error if behind else None,
        "p_value": behind.p_value if behind else None,
    }


def _failures(table: Table) -> list[dict[str, Any]]:
    return [
        {
            **_shared(table),
            "entry": row.entry,
            "role": "failed",
            "best": False,
            "reason": row.reason,
        }
        for row in table.failed
    ]


def _shared(table: Table) -> dict[str, Any]:
    return {
        "suite": table.suite,
        "suite_fingerprint": table.suite_fingerprint,
        "protocol": table.protocol,
        "reference": table.reference,
        "metrics": " ".join(table.metrics),
        "items": table.items,
        **({} if table.groups is None else {"groups": table.groups}),
    }


def _column(metric: str) -> str:
    return metric.partition("@")[0]


def as_csv(frame: pd.DataFrame) -> str:
    """Every number as it is, and text as text, also for a spreadsheet that would compute it.

    Text that begins like a formula has an apostrophe before it.
    """
    safe = frame.map(lambda cell: _as_text(cell) if isinstance(cell, str) else cell)
    safe.columns = [_as_text(str(name)) for name in frame.columns]
    return str(safe.to_csv(index=False, lineterminator="\n"))


def _as_text(cell: str) -> str:
    """One line that is no formula, whatever blanks a spreadsheet would skip before it."""
    shown = one_line(cell)
    return f"'{shown}" if shown.lstrip()[:1] in FORMULAS else shown
