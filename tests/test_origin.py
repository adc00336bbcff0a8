"""Figures say what they were drawn from, and by what."""

from pathlib import Path

import matplotlib
import numpy as np
import PIL
import pytest
from synthetic_records import write_exact_records, write_synthetic

from fpmc_bench.errors import RunError
from fpmc_bench.results.reading import read_tables
from fpmc_bench.results.render.figures import draw_sigma_figure
from fpmc_bench.results.render.origin import Origin, key_of_images, key_of_table, origin_of
from fpmc_bench.results.render.sample_grid import draw_sample_grid


@pytest.mark.parametrize("kind", ["png", "svg"])
def test_a_figure_says_what_it_was_drawn_from_and_by_what(tmp_path: Path, kind: str) -> None:
    write_exact_records(tmp_path)
    table = read_tables(tmp_path)[0]
    said = origin_of(draw_sigma_figure(table, kind))
    assert said == Origin(key_of_table(table), f"matplotlib {matplotlib.__version__}")


def test_other_numbers_are_another_key(tmp_path: Path) -> None:
    write_exact_records(tmp_path)
    before = [key_of_table(table) for table in read_tables(tmp_path)]
    assert len(set(before)) == 2
    errors = np.full((8, 4), 1 / 8)
    pooled = {"r2-pooled@1": np.full_like(errors, 4)}
    write_synthetic(tmp_path, "ls", {"mse@1": errors, **pooled, "r2@1": 1 - errors})
    after = [key_of_table(table) for table in read_tables(tmp_path)]
    assert (before[0] == after[0], before[1] == after[1]) == (False, True)


def test_a_sample_grid_says_so_too() -> None:
    rows = {"a": np.zeros((2, 1, 8, 8), np.float32)}
    said = origin_of(draw_sample_grid(rows))
    assert said == Origin(key_of_images(rows), f"Pillow {PIL.__version__}")
    assert key_of_images({"a": rows["a"] + 1e-6}) != said.key
    assert key_of_images({"b": rows["a"]}) != said.key


@pytest.mark.parametrize("content", [b"", b"GIF89a", b"\x89PNG\r\n\x1a\nno more"])
def test_what_is_no_figure_is_refused(content: bytes) -> None:
    with pytest.raises(RunError, match="it is n"):
        origin_of(content)


def test_a_figure_that_says_nothing() -> None:
    assert origin_of(b"<svg></svg>") == Origin("", "")
