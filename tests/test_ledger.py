"""The ledger: a unit is there whole or not at all, with a note of who computed it."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from damage import DAMAGES, swapped
from synthetic_records import ENVIRONMENT

from fpmc_bench.documents.environment import UnitNote
from fpmc_bench.errors import RunError
from fpmc_bench.harness import ledger as module
from fpmc_bench.harness.ledger import Ledger, _digest
from fpmc_bench.storage.arrays import read_arrays, write_arrays

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


def rewritten(path: Path, **changes: np.ndarray | None) -> None:
    """By a program that knows the format: all checksums of the file itself are right."""
    arrays = {**read_arrays(path, 10_000), **changes}
    write_arrays(path, {name: array for name, array in arrays.items() if array is not None})


def of_another_version(path: Path) -> None:
    arrays = {**read_arrays(path, 10_000), "note": np.array('{"seconds": 1}')}
    del arrays["sha256"]
    write_arrays(path, {**arrays, "sha256": np.array(_digest(arrays))})


UNIT_DAMAGES: dict[str, Callable[[Path], None]] = {
    **{damage.__name__: damage for damage in DAMAGES},
    "text": lambda path: path.write_text("<html>") and None,
    "another figure": lambda path: rewritten(path, **{"mse@1": np.full(300, 2.0)}),
    "another shape": lambda path: rewritten(path, **{"mse@1": np.ones((300, 1))}),
    "another time": lambda path: rewritten(path, note=np.array(NOTE.model_dump_json() + " ")),
    "no note": lambda path: rewritten(path, note=None),
    "no digest": lambda path: rewritten(path, sha256=None),
    "one array more": lambda path: rewritten(path, more=np.zeros(1)),
    "of another version": of_another_version,
}


@pytest.mark.parametrize("damage", UNIT_DAMAGES)
def test_a_damaged_unit_is_not_there_and_is_said_once(
    ledger: Ledger, caplog: pytest.LogCaptureFixture, damage: str
) -> None:
    ledger.write("key", {"mse@1": np.ones(300)}, NOTE)
    path = ledger.directory / "key.npz"
    UNIT_DAMAGES[damage](path)
    for fresh in (Ledger(ledger.directory), ledger):
        caplog.clear()
        assert not fresh.has("key")
        assert fresh.read("key") is None
        with pytest.raises(RunError, match=r"the thing \(key\) vanished from the ledger"):
            fresh.required("key", "the thing")
        (line,) = caplog.messages
        assert str(path) in line
        assert line.endswith("; it is computed anew")
    ledger.write("key", {"mse@1": np.ones(300)}, NOTE)
    assert ledger.has("key")
    assert fresh.required("key", "it").arrays["mse@1"].tolist() == [1.0] * 300


def test_units_that_were_swapped_are_not_there(ledger: Ledger) -> None:
    for key in ("one", "two", "three"):
        ledger.write(key, {"mse@1": np.ones(3)}, NOTE)
    swapped(ledger.directory / "one.npz", ledger.directory / "two.npz")
    found = Ledger(ledger.directory)
    assert [found.has(key) for key in ("one", "two", "three")] == [False, False, True]


def test_a_unit_is_read_once_to_know_that_it_is_there(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    other, read = Ledger(ledger.directory), []
    monkeypatch.setattr(
        module, "read_arrays", lambda path, most: read.append(path) or read_arrays(path, most)
    )
    ledger.write("key", {"mse@1": np.ones(3)}, NOTE)
    assert all(ledger.has("key") for _ in range(9))
    assert read == [], "it wrote it itself"
    assert other.names() == {"key"}
    assert read == [], "a name is enough to count by"
    assert all(other.has("key") for _ in range(9))
    assert len(read) == 1
    ledger.write("key", {"mse@1": np.ones(4)}, NOTE)
    assert other.has("key")
    assert len(read) == 2, "another file is another state"
    (ledger.directory / "key.npz").unlink()
    assert not ledger.has("key")
    assert not other.has("key")


def test_failures_are_seen_by_all_and_forgotten_by_a_new_attempt(ledger: Ledger) -> None:
    assert ledger.failures() == {}
    ledger.fail("ls.sample-mse", "Traceback: no")
    other = Ledger(ledger.directory)
    assert other.failed("ls.sample-mse")
    assert not other.failed("ls.denoiser-mse")
    assert other.failures() == {"ls.sample-mse": "Traceback: no"}
    other.forget_failures()
    assert ledger.failures() == {}
