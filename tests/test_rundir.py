"""A run directory: one configuration at a time, and each opening is a new attempt."""

from pathlib import Path
from typing import Any

import pytest
from plans import small_suite

from fpmc_bench.errors import RunError
from fpmc_bench.harness.rundir import RunDirectory

IDENTITY = {"device": "cpu", "networks": ["a", "b"], "tuning teacher": "c" * 64}


def opened(folder: Path, *, fresh: bool = False, **changes: Any) -> RunDirectory:
    directory = RunDirectory(folder)
    directory.open(small_suite(**changes), IDENTITY, fresh=fresh)
    return directory


def test_opened_again_what_failed_is_tried_again(tmp_path: Path) -> None:
    opened(tmp_path).ledger.fail("optimal.sample-mse", "Traceback: no")
    assert opened(tmp_path).ledger.failures() == {}


def test_one_that_goes_on_keeps_the_arithmetic_it_began_with(tmp_path: Path) -> None:
    known = '{"addition": 9.0, "split_multiply_add": 9.0, "forced": null}'
    (opened(tmp_path).path / "arithmetic.json").write_text(known)
    opened(tmp_path).keep_arithmetic("cpu", fresh=False)
    assert opened(tmp_path).arithmetic.addition == 9


@pytest.mark.parametrize(
    "change", [{"seed": 4}, {"items": 6}, {"block_items": 2}], ids=lambda change: next(iter(change))
)
def test_another_configuration_is_refused_unless_all_is_discarded(
    tmp_path: Path, change: dict[str, int]
) -> None:
    left = opened(tmp_path).ledger
    left.fail("optimal.sample-mse", "Traceback: no")
    ((field, value),) = change.items()
    with pytest.raises(RunError, match=rf"{field} \d, now {value}.*--fresh"):
        opened(tmp_path, **change)
    assert left.failed("optimal.sample-mse"), "nothing is lost"
    assert opened(tmp_path, fresh=True, **change).ledger.failures() == {}
    opened(tmp_path, **change)


def test_entries_and_protocols_may_be_others(tmp_path: Path) -> None:
    opened(tmp_path)
    entries = [{"name": "ls", "denoiser": "ls", "params": {"patch_sizes": [3, 3, 3, 3]}}]
    opened(tmp_path, entries=entries, protocols=["sample-mse"], description="more")
