"""The ledger: a unit is there whole or not at all, with a note of who computed it."""

from pathlib import Path

import numpy as np
import pytest
from synthetic_records import ENVIRONMENT

from fpmc_bench.documents.environment import UnitNote
from fpmc_bench.errors import RunError
from fpmc_bench.harness.ledger import Ledger

NOTE = UnitNote(
    environment=ENVIRONMENT,
    seconds=1.5,
    date_utc="2026-01-01T00:00:00Z",
    command="fpmc-bench run",
    commit=None,
)


@pytest.fixture
def ledger(tmp_path: Path) -> Ledger:
    return Ledger(tmp_path / "ledger")


def test_a_unit_comes_back_as_it_was(ledger: Ledger) -> None:
    arrays = {"mse@1": np.array([0.1, np.nan, np.inf]), "prediction": np.float32([[1, 2]])}
    assert not ledger.has("key")
    assert ledger.read("key") is None
    ledger.write("key", arrays, NOTE)
    assert ledger.has("key")
    unit = ledger.required("key", "it")
    assert unit.note == NOTE
    assert unit.arrays.keys() == arrays.keys()
    assert all(unit.arrays[name].tobytes() == arrays[name].tobytes() for name in arrays)
    assert unit.arrays["prediction"].dtype == np.float32


@pytest.mark.parametrize("damage", ["truncated", "no note", "another note", "text"])
def test_a_damaged_unit_is_not_there(ledger: Ledger, damage: str) -> None:
    ledger.write("key", {"mse@1": np.zeros(3)}, NOTE)
    path = ledger.directory / "key.npz"
    if damage == "truncated":
        path.write_bytes(path.read_bytes()[:-30])
    elif damage == "text":
        path.write_text("<html>")
    else:
        note = {} if damage == "no note" else {"note": np.array('{"seconds": 1}')}
        np.savez(path, **{"mse@1": np.zeros(3)}, **note)  # type: ignore[arg-type]
    assert ledger.read("key") is None
    with pytest.raises(RunError, match=r"the thing \(key\) vanished from the ledger"):
        ledger.required("key", "the thing")


def test_failures_are_seen_by_all_and_forgotten_by_a_new_attempt(ledger: Ledger) -> None:
    assert ledger.failures() == {}
    ledger.fail("ls.sample-mse", "Traceback: no")
    other = Ledger(ledger.directory)
    assert other.failed("ls.sample-mse")
    assert not other.failed("ls.denoiser-mse")
    assert other.failures() == {"ls.sample-mse": "Traceback: no"}
    other.forget_failures()
    assert ledger.failures() == {}
