"""A run directory: one configuration at a time, and each opening is a new attempt."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from plans import small_suite
from test_ledger import NOTE

from fpmc_bench.errors import RunError
from fpmc_bench.harness.rundir import RunDirectory


def opened(folder: Path, *, fresh: bool = False, **changes: Any) -> RunDirectory:
    directory = RunDirectory(folder)
    directory.open(small_suite(**changes), "cpu", fresh=fresh)
    return directory


def test_opened_again_what_failed_is_tried_again(tmp_path: Path) -> None:
    opened(tmp_path).ledger.fail("optimal.sample-mse", "Traceback: no")
    assert opened(tmp_path).ledger.failures() == {}


def test_one_that_goes_on_keeps_the_arithmetic_it_began_with(tmp_path: Path) -> None:
    known = '{"addition": 9.0, "split_multiply_add": 9.0, "forced": null}'
    (opened(tmp_path).path / "arithmetic.json").write_text(known)
    assert opened(tmp_path).arithmetic.addition == 9


@pytest.mark.parametrize(
    "content", ["", "{", "[]", "null", "{}", '{"fingerprint": 1, "suite": {}}', "[" * 9000, "\xff"]
)
def test_a_damaged_manifest_is_a_line_and_nothing_is_lost(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, content: str
) -> None:
    left = opened(tmp_path)
    left.ledger.write("key", {"mse@1": np.ones(3)}, NOTE)
    whole = left.manifest.read_bytes()
    left.manifest.write_bytes(content.encode("latin1"))
    assert opened(tmp_path).ledger.has("key")
    assert left.manifest.read_bytes() == whole
    (line,) = caplog.messages
    assert f"{left.manifest} is damaged" in line
    assert "it is written anew, what is beside it is kept" in line


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
