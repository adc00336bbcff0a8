"""A run directory: one configuration at a time, and each opening is a new attempt."""

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from plans import small_plan, small_suite
from synthetic_records import write_exact_records
from test_ledger import NOTE

from fpmc_bench.documents.identity import of_record
from fpmc_bench.documents.record import read_records
from fpmc_bench.errors import RunError
from fpmc_bench.fpmc.source import Source
from fpmc_bench.harness.identity import default_run_directory
from fpmc_bench.harness.plan import Plan
from fpmc_bench.harness.rundir import RunDirectory

IDENTITY = {"device": "cpu", "networks": ["a", "b"], "tuning teacher": "c" * 64}


def opened(
    folder: Path, *, fresh: bool = False, identity: Mapping[str, Any] = IDENTITY, **changes: Any
) -> RunDirectory:
    directory = RunDirectory(folder)
    directory.open(small_suite(**changes), identity, fresh=fresh)
    return directory


def test_opened_again_what_failed_is_tried_again(tmp_path: Path) -> None:
    opened(tmp_path).ledger.fail("optimal.sample-mse", "Traceback: no")
    assert opened(tmp_path).ledger.failures() == {}


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


LS = {"name": "ls", "denoiser": "ls", "params": {"patch_sizes": [3, 3, 3, 3]}}


def test_entries_and_protocols_of_all_runs_are_kept(tmp_path: Path) -> None:
    opened(tmp_path, protocols=["sample-mse"])
    opened(tmp_path, entries=[LS], protocols=["denoiser-mse"], description="more")
    held = json.loads((tmp_path / "run.json").read_text())["suite"]
    assert [one["name"] for one in held["entries"]] == ["optimal", "ls"]
    assert held["protocols"] == ["denoiser-mse", "sample-mse"]
    before = (tmp_path / "run.json").stat().st_mtime_ns
    opened(tmp_path, entries=[LS], protocols=["denoiser-mse"], description="more")
    assert (tmp_path / "run.json").stat().st_mtime_ns == before


@pytest.mark.parametrize("field", IDENTITY)
def test_another_network_or_device_is_refused_and_the_first_goes_on(
    tmp_path: Path, field: str
) -> None:
    opened(tmp_path)
    before = (tmp_path / "run.json").read_bytes()
    with pytest.raises(RunError, match=rf"{field} .*, now .other..*choose another --run-dir"):
        opened(tmp_path, identity={**IDENTITY, field: "other"})
    assert (tmp_path / "run.json").read_bytes() == before
    opened(tmp_path)


def test_without_a_manifest_the_records_say_what_they_are_of(tmp_path: Path) -> None:
    write_exact_records(tmp_path / "records")
    known = of_record(read_records(tmp_path / "records")[0][0])
    with pytest.raises(RunError, match=r"'synthetic' with other .*tuning teacher .*, now .other"):
        opened(tmp_path, identity={**known, "tuning teacher": "other"})
    assert not (tmp_path / "run.json").exists()


def test_a_damaged_record_stops_no_run_and_others_say_what_they_are_of(tmp_path: Path) -> None:
    directory = opened(tmp_path)
    write_exact_records(directory.records)
    first, *_ = sorted(directory.records.glob("*.json"))
    first.write_text("{")
    opened(tmp_path)
    held = json.loads(directory.manifest.read_text())
    for identity in (5, None):
        directory.manifest.write_text(json.dumps({**held, "identity": identity}))
        with pytest.raises(RunError, match="holds a run of suite 'synthetic'"):
            opened(tmp_path)


def test_a_record_that_is_set_aside_is_kept_under_a_name_of_its_own(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    write_exact_records(tmp_path / "records")
    directory = RunDirectory(tmp_path)
    content = (directory.records / "ls.sample-mse.json").read_bytes()
    directory.set_aside("ls.sample-mse")
    assert not list(directory.records.glob("ls.sample-mse.*"))
    assert "ls.sample-mse.json is not of this run, or damaged: it lies in" in caplog.text
    kept = sorted((tmp_path / "earlier").iterdir())
    assert [path.suffix for path in kept] == [".json", ".npz"]
    assert kept[0].read_bytes() == content
    write_exact_records(tmp_path / "records")
    (directory.records / "ls.sample-mse.json").write_bytes(content + b" ")
    directory.set_aside("ls.sample-mse")
    assert len(list((tmp_path / "earlier").iterdir())) == 4
    directory.set_aside("ls.sample-mse")


def test_two_teachers_have_two_default_directories() -> None:
    plan = small_plan()

    def of(**changes: Any) -> Path:
        return default_run_directory(Plan(replace(plan.context, **changes), plan.contestants))

    context = plan.context
    swapped = of(tuning=context.evaluation, evaluation=context.tuning)
    resized = replace(context.dataset, train=Source(context.dataset.train.values()[:10]))
    folders = {of(), of(), swapped, of(dataset=resized)}
    assert len(folders) == 3
    assert all(folder.name.startswith("small-") for folder in folders)


@pytest.mark.parametrize(
    ("old", "new"), [("items", "ltems"), ('"seed": 3', '"seed": 7'), ("cpu", "cqu")]
)
def test_a_turned_bit_of_a_manifest_is_no_other_run(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, old: str, new: str
) -> None:
    left = opened(tmp_path)
    whole = left.manifest.read_text()
    left.manifest.write_text(whole.replace(old, new, 1))
    opened(tmp_path)
    assert left.manifest.read_text() == whole
    assert "it does not have the digest that it states" in caplog.text


def test_a_manifest_without_a_digest_is_believed(tmp_path: Path) -> None:
    left = opened(tmp_path)
    held = json.loads(left.manifest.read_text())
    del held["digest"]
    left.manifest.write_text(json.dumps({**held, "identity": {**IDENTITY, "device": "other"}}))
    with pytest.raises(RunError, match="device"):
        opened(tmp_path)
