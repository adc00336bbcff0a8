"""What the figures of a leaderboard show: rows in order, intervals, ratios, and bad rows too."""

import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from matplotlib.axes import Axes
from matplotlib.colors import to_hex
from matplotlib.figure import Figure as Canvas
from scipy import stats
from synthetic_records import write_exact_records, write_realistic_records

from fpmc_bench.documents.record import Figure, read_records
from fpmc_bench.results.render.colours import NETWORK, looks_of
from fpmc_bench.results.render.figures import draw_sigma_figure, spread
from fpmc_bench.results.render.forest import draw_forest, forest_panel, lines_of
from fpmc_bench.results.table import FailedRow, Table, build_tables

NAN = Figure(mean=float("nan"), standard_error=float("nan"), n=8)
ZERO = Figure(mean=0.0, standard_error=0.0, n=8)


@pytest.fixture(scope="module")
def tables(tmp_path_factory: pytest.TempPathFactory) -> tuple[Table, ...]:
    folder = tmp_path_factory.mktemp("exact")
    write_exact_records(folder)
    return build_tables(read_records(folder))


def forest(table: Table) -> Axes:
    axes = Canvas().add_subplot()
    forest_panel(axes, table, lines_of(table))
    return axes


def texts(svg: bytes) -> list[str]:
    """matplotlib says above its glyphs which text they are."""
    return re.findall("<!-- (.*?) -->", svg.decode())


def bad(table: Table) -> Table:
    """One row without numbers, one without error, one with a long name, and rows that failed."""
    rows = list(table.rows)
    for at, figure in ((1, ZERO), (4, NAN)):
        by_sigma = (figure,) * len(table.sigmas)
        figures = {**rows[at].figures, "mse@1": figure}
        rows[at] = replace(rows[at], figures=figures, by_sigma=by_sigma)
    rows[2] = replace(rows[2], entry=f"ls[{'parameter=1, ' * 9}x=$2$]")
    failed = (FailedRow("broken", "no"), FailedRow("b" * 90, "no"))
    return replace(table, rows=tuple(rows), failed=failed)


def test_a_forest_has_a_point_with_its_interval_for_every_row(tables: tuple[Table, ...]) -> None:
    """Eight items: the interval is ± 2.36 standard errors, in the units that the axis names."""
    (table, _) = tables
    axes = forest(table)
    assert axes.get_xlabel().startswith("mse@1, log scale: mean squared difference")
    assert [label.get_text() for label in axes.get_yticklabels()] == [
        "teacher_b (other network)",
        *(row.entry for row in table.rows[1:]),
    ]
    network, *drawn = axes.lines
    bars, errors, points = drawn[::3], drawn[1::3], drawn[2::3]
    looks = looks_of(table)
    assert network.get_xdata()[0] == pytest.approx(table.rows[0].figures["mse@1"].mean)
    assert network.get_color() == NETWORK.colour
    for row, bar, thick, point in zip(table.rows, bars, errors, points, strict=True):
        known = row.figures["mse@1"]
        half = stats.t.ppf(0.975, 7) * known.standard_error
        np.testing.assert_allclose(bar.get_xdata(), [known.mean - half, known.mean + half])
        ends = [known.mean - known.standard_error, known.mean + known.standard_error]
        np.testing.assert_allclose(thick.get_xdata(), ends)
        assert point.get_xdata()[0] == pytest.approx(known.mean)
        assert point.get_color() == bar.get_color() == looks[row.entry].colour
        assert point.get_marker() != "<"


def test_the_best_and_its_ties_are_shaded(tables: tuple[Table, ...]) -> None:
    table = replace(
        tables[0], rows=tuple(replace(row, best=row.rank in (1, 3)) for row in tables[0].rows)
    )
    lines = lines_of(table)
    shades = [patch.get_extents() for patch in forest(table).patches]
    assert len(shades) == 1 + 2, "the other network's band, and two rows"
    assert [patch.get_y() for patch in forest(table).patches[1:]] == list(lines.edges[[1, 3]])


@pytest.mark.parametrize(("spread_of_errors", "scale"), [(3.9, "linear"), (5.0, "log")])
def test_the_axis_is_as_the_errors_need_it(
    tables: tuple[Table, ...], spread_of_errors: float, scale: str
) -> None:
    table = tables[1]
    means = np.geomspace(1e-3, 1e-3 * spread_of_errors, len(table.rows))
    rows = tuple(
        replace(row, figures={"mse@1": Figure(mean=mean, standard_error=0.0, n=8)})
        for row, mean in zip(table.rows, means, strict=True)
    )
    axes = forest(replace(table, rows=rows))
    assert axes.get_xscale() == scale
    assert f"{scale} scale" in axes.get_xlabel()
    assert "10⁻³" in axes.get_xlabel()


def test_rows_without_a_place_on_the_axis_are_there_all_the_same(
    tables: tuple[Table, ...],
) -> None:
    table = bad(tables[0])
    axes = forest(table)
    arrows = [line for line in axes.lines if line.get_marker() == "<"]
    assert [to_hex(line.get_color()) for line in arrows] == [
        looks_of(table)[table.rows[1].entry].colour
    ]
    assert arrows[0].get_xdata()[0] == axes.get_xlim()[0], "0 lies beyond a logarithmic axis"
    said = [text.get_text() for text in axes.texts]
    assert "nan ± ?" in said
    assert said.count("no figures") == 2
    for svg in (draw_forest(table, "svg"), draw_sigma_figure(table, "svg")):
        assert b"NaN" not in svg
        assert b"nan," not in svg


def test_long_names_are_folded_and_make_room(tables: tuple[Table, ...]) -> None:
    plain, long = lines_of(tables[0]), lines_of(bad(tables[0]))
    assert max(len(line) for name in long.names for line in name.split("\n")) <= 40
    assert long.names[2].replace("\n", " ").endswith(r"x=\$2\$]")
    assert long.inches > plain.inches + 0.8
    assert (np.diff(long.edges) > 1).all()


@pytest.mark.parametrize("entries", [1, 3, 30])
def test_figures_of_few_rows_and_of_many(tmp_path: Path, entries: int) -> None:
    """No warning of a layout that doesn't fit; every name stands in both."""
    write_realistic_records(tmp_path, entries=entries, items=4)
    (table,) = build_tables(read_records(tmp_path))
    for draw in (draw_forest, draw_sigma_figure):
        said = texts(draw(table, "svg"))
        for row in table.rows:
            assert any(row.entry in text for text in said), row.entry


def test_the_curves_name_their_axes_and_what_they_are_relative_to(
    tables: tuple[Table, ...],
) -> None:
    said = " ".join(texts(draw_sigma_figure(tables[0], "svg")))
    assert "noise level sigma, of images in [-1, 1] (log scale)" in said
    assert "ratio to the error of teacher_b (log scale" in said
    alone = replace(tables[0], rows=tables[0].rows[1:])
    said = " ".join(texts(draw_sigma_figure(alone, "svg")))
    assert f"ratio to the error of {alone.rows[0].entry}" in said, "the best, without a network"


@pytest.mark.parametrize("ends", [[0.5] * 9, [0.0, 0.01, 1.0], [1.0, 0.2, 0.9, 0.95], [0.3]])
def test_names_are_spread_in_the_order_of_their_lines(ends: list[float]) -> None:
    places = spread(ends, 0.1)
    assert places.min() >= 0
    assert places.max() <= 1 + 1e-12
    order = np.argsort(ends, kind="stable")
    assert (np.diff(places[order]) >= 0.1 - 1e-12).all()


def test_names_that_have_room_stand_at_their_lines() -> None:
    np.testing.assert_allclose(spread([0.9, 0.1, 0.5], 0.2), [0.9, 0.1, 0.5])
    np.testing.assert_allclose(spread([0.5, 0.5], 0.2), [0.4, 0.6])
