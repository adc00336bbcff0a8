"""What studies show: text, data and figures of points made by hand."""

import io
import math
from itertools import product

import numpy as np
import pytest
from PIL import Image

from fpmc_bench.errors import RunError
from fpmc_bench.results.render.study_figures import (
    base_titles,
    draw_augmentation_figure,
    draw_finetune_figure,
)
from fpmc_bench.results.render.study_views import VIEWS, _finetune_table
from fpmc_bench.results.study_points import AugmentationPoint, FinetunePoint, change_percent

WIDE, NARROW = "ls[patch_sizes=[15,15]]", "ls[patch_sizes=[3,3]]"


def learned(base: str, axes: str, sigma: float, before: float = 2e-3) -> FinetunePoint:
    return FinetunePoint(base, axes, sigma, 9, before, 1e-4, 1.5e-3, 1e-4, -5e-4, 2e-5)


def added(base: str, rate: float, sigma: float, change: float) -> AugmentationPoint:
    return AugmentationPoint(base, "hflip", rate, sigma, 9, change, 1.0)


def pixels(png: bytes) -> np.ndarray:
    with Image.open(io.BytesIO(png)) as image:
        return np.asarray(image.convert("RGB")).astype(int)


def test_bases_have_short_names_where_these_tell_them_apart() -> None:
    points = [learned(base, "q", 1.0) for base in (WIDE, "optimal", "windows[a=[1,2]]")]
    assert list(base_titles(points).values()) == ["ls", "optimal", "windows"]
    both = base_titles([learned(base, "q", 1.0) for base in (WIDE, NARROW)])
    assert both == {WIDE: "ls_patch_sizes-15-15", NARROW: "ls_patch_sizes-3-3"}


def test_a_table_for_every_base() -> None:
    points = [learned(*row) for row in product((WIDE, NARROW, "optimal"), ("q", "qr"), (1.0, 0.1))]
    text = _finetune_table(points)
    for title in ("ls_patch_sizes-15-15", "ls_patch_sizes-3-3", "optimal"):
        assert f"{title} q    {' ' * len(title)}".rstrip() in text
        assert f"{title} qr" in text
    assert text.count("-25.0 ± 1.0") == 12


def test_a_base_without_error_has_no_percent() -> None:
    assert math.isnan(change_percent(0.0, 1.0))
    assert change_percent(2.0, 1.0) == -50
    assert "+nan ± nan" in _finetune_table([learned("ls", "q", 1.0, before=0.0)])


def test_every_base_has_panels_of_its_own() -> None:
    """The same points of another base don't change what the first one's panels show."""
    first = [added("ls", rate, 1.0, -rate) for rate in (0.2, 1.0, 5.0)]
    second = [added("optimal", rate, 1.0, 50 * rate) for rate in (0.2, 1.0, 5.0)]
    alone = pixels(draw_augmentation_figure("t", first))
    both = pixels(draw_augmentation_figure("t", [*first, *second]))
    assert both.shape[0] > 1.5 * alone.shape[0]
    assert both.shape[1] == alone.shape[1]
    blue = (both == [0x00, 0x72, 0xB2]).all(2).any(1)  # rows of pixels with the line's colour
    upper, lower = blue[: len(blue) // 2].sum(), blue[len(blue) // 2 :].sum()
    assert min(upper, lower) > 30


def test_equal_points_equal_bytes() -> None:
    points = [learned(*row) for row in product((WIDE, NARROW), ("q", "qr"), (1.0, 0.1))]
    assert draw_finetune_figure("t", points) == draw_finetune_figure("t", points)


@pytest.mark.parametrize("view", ["finetune", "augmentation"])
def test_nothing_to_show(view: str) -> None:
    with pytest.raises(RunError, match="no row is left to be compared"):
        VIEWS[view]("t", (), ())  # type: ignore[index]
