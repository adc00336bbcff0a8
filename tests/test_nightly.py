"""What takes minutes: the published figures computed anew."""

from pathlib import Path

import numpy as np
import pytest
from runs import fpmc_bench

BOARDS = Path(__file__).parents[1] / "leaderboards"
PHOTOS = ("optimal", "wiener", "ls", "pspc-square", "windows+qr")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("suite", "items", "entries", "r2_atol"),
    [("digits", 100, (), 1e-7), ("photos", 2, PHOTOS, 1e-4)],
    ids=["the main job", "some of photos"],
)
def test_published_figures_are_computed_anew(
    suite: str, items: int, entries: tuple[str, ...], r2_atol: float, tmp_path: Path
) -> None:
    """Item by item: an item has the same noise however many there are.

    Two photos are less than a block: a network's sums end in other last bits, of which r2 sees
    more, as it divides by what little deviation there may be.
    """
    only = [text for entry in entries for text in ("-d", entry)]
    options = ("--items", items, "--run-dir", "run", "--quiet")
    done = fpmc_bench("run", suite, *options, *only, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    published = BOARDS / suite / "records"
    found = {path.name for path in (tmp_path / "run" / "records").glob("*.npz")}
    assert found
    if not entries:
        assert found == {path.name for path in published.glob("*.npz")}
    for name in found:
        with np.load(published / name) as expected, np.load(tmp_path / "run/records" / name) as own:
            assert set(own.files) == set(expected.files)
            for metric in own.files:
                wanted = expected[metric][:items]
                atol = r2_atol if metric.startswith("r2") else 1e-7
                np.testing.assert_allclose(own[metric], wanted, atol=atol, rtol=0, err_msg=name)
