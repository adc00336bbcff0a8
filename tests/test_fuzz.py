"""Damaged files are read or refused, by everything that reads files: see `benchmarks/fuzz.py`."""

import sys
from pathlib import Path

import pytest

sys.path.append(str(Path(__file__).parent.parent / "benchmarks"))

from fuzzing.loaders import LOADERS
from fuzzing.trials import Loader, trials

INPUTS = 200


@pytest.mark.parametrize("loader", LOADERS, ids=lambda loader: loader.name)
def test_damage_is_read_or_refused(loader: Loader, tmp_path: Path) -> None:
    wrong = [one for one in trials(loader, tmp_path, 15, range(INPUTS)) if one.wrong]
    told = [f"{one.number}: {one.file}: {one.outcome}: {one.said}" for one in wrong]
    assert not told, "python benchmarks/fuzz.py --seed 15 --only READER --first NUMBER --inputs 1"
