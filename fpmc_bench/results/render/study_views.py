"""What each view of a study makes of its rows and their records."""

from collections.abc import Callable, Sequence
from dataclasses import asdict
from typing import Any, NamedTuple

import pandas as pd
from tabulate import tabulate

from fpmc_bench.documents.items import ItemValues
from fpmc_bench.documents.record import Record
from fpmc_bench.documents.study import StudyRow, View
from fpmc_bench.errors import RunError
from fpmc_bench.results.render.csv import as_csv, render_csv
from fpmc_bench.results.render.json import plain_tables
from fpmc_bench.results.render.terminal import render_terminal
from fpmc_bench.results.study_points import (
    AugmentationPoint,
    FinetunePoint,
    augmentation_points,
    base_titles,
    finetune_points,
)
from fpmc_bench.results.table import build_tables

Known = Sequence[tuple[Record, ItemValues]]
Points = Sequence[FinetunePoint] | Sequence[AugmentationPoint]


class Answer(NamedTuple):
    """As text, as plain data, as CSV, and what draws it as a PNG."""

    text: str
    plain: dict[str, Any]
    csv: str
    drawn: Callable[[], bytes]


def finetuned(title: str, rows: Sequence[StudyRow], known: Known) -> Answer:
    """Every base against what was learned from it; RunError where no such pair is left."""
    points = finetune_points(rows, {record.entry: (record, values) for record, values in known})
    plain, csv = _data(points)

    def drawn() -> bytes:
        from fpmc_bench.results.render.study_figures import draw_finetune_figure

        return draw_finetune_figure(title, points)

    return Answer(_finetune_table(points), plain, csv, drawn)


def augmented(title: str, rows: Sequence[StudyRow], known: Known) -> Answer:
    """Every base against itself over more images; RunError where no such pair is left."""
    points = augmentation_points(rows, {record.entry: (record, values) for record, values in known})
    plain, csv = _data(points)

    def drawn() -> bytes:
        from fpmc_bench.results.render.study_figures import draw_augmentation_figure

        return draw_augmentation_figure(title, points)

    return Answer(_augmentation_table(points), plain, csv, drawn)


def tabulated(title: str, rows: Sequence[StudyRow], known: Known) -> Answer:
    """All rows side by side."""
    tables = build_tables(known)
    text = "\n\n".join(map(render_terminal, tables)) + "\n"
    plain = {"tables": plain_tables(*tables)}

    def drawn() -> bytes:
        from fpmc_bench.results.render.study_figures import draw_table_figure

        return draw_table_figure(title, tables)

    return Answer(text, plain, render_csv(*tables), drawn)


VIEWS: dict[View, Callable[[str, Sequence[StudyRow], Known], Answer]] = {
    "finetune": finetuned,
    "augmentation": augmented,
    "table": tabulated,
}


def _data(points: Points) -> tuple[dict[str, Any], str]:
    """Plain data and CSV, a line a point with every number as it is."""
    if not points:
        raise RunError("no row is left to be compared with its base: all of them failed")
    plain = [asdict(point) for point in points]
    return {"points": plain}, as_csv(pd.DataFrame(plain))


def _finetune_table(points: Sequence[FinetunePoint]) -> str:
    """Paired differences, a table a base and a line a noise level."""
    blocks = ["change of MSE by fine-tuning in percent of the base's, ± its standard error"]
    for base, title in base_titles(points).items():
        lines: dict[float, list[str]] = {}
        own = [point for point in points if point.base == base]
        for point in own:
            cell = f"{point.change_percent:+z.1f} ± {point.change_percent_se:.1f}"
            lines.setdefault(point.sigma, []).append(cell)
        rows = [[f"{sigma:.3g}", *lines[sigma]] for sigma in sorted(lines, reverse=True)]
        headers = ["sigma", *dict.fromkeys(f"{title} {point.axes}" for point in own)]
        blocks.append(tabulate(rows, headers=headers, tablefmt="simple", stralign="right"))
    return "\n\n".join(blocks) + "\n"


def _augmentation_table(points: Sequence[AugmentationPoint]) -> str:
    """Changes, a line a source and a column a noise level."""
    columns = sorted({point.sigma for point in points})
    rows: dict[tuple[str, str, float], dict[float, str]] = {}
    for point in points:
        cells = rows.setdefault((point.base, point.augmentation, point.rate), {})
        cells[point.sigma] = f"{point.change_percent:+z.1f} ± {point.change_percent_se:.1f}"
    table = tabulate(
        [[*row, *(cells[sigma] for sigma in columns)] for row, cells in rows.items()],
        headers=["base", "augmentation", "|A|/|D|", *(f"sigma {sigma:.3g}" for sigma in columns)],
        tablefmt="simple",
        colalign=("left", "left", "right", *("right" for _ in columns)),
    )
    return f"change of MSE in percent, ± its standard error\n\n{table}\n"
