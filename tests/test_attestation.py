"""Attestations: shown in tables while they fit their record, else refused by name."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from synthetic_records import attest, write_synthetic
from test_rundir import opened

from fpmc_bench.documents.attestation import SUFFIX, Attestation, read_attestations
from fpmc_bench.documents.record import read_records
from fpmc_bench.errors import RunError
from fpmc_bench.results.table import build_tables

ERRORS = np.arange(32.0).reshape(8, 4)


def write(folder: Path, entry: str = "ls", scale: float = 1.0) -> Path:
    return write_synthetic(folder, entry, {"mse@1": scale * ERRORS, "r2@1": -ERRORS})


def shown(folder: Path) -> dict[str, str]:
    (table,) = build_tables(read_records(folder), attestations=read_attestations(folder))
    return {row.entry: row.verification for row in table.rows}


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({}, "verified (2 items)"),
        ({"items": ((0, 2), (4, 7))}, "verified (5 items)"),
        ({"items": ((0, 8),)}, "reproduced"),
        ({"items": ((0, 4), (4, 8))}, "reproduced"),
        ({"tolerance": 0.01}, "verified (2 items, to 0.01)"),
        ({"tolerance": 0.01, "items": ((0, 8),)}, "reproduced (to 0.01)"),
        ({"tolerance": 3e-5}, "verified (2 items)"),
    ],
)
def test_a_table_says_how_far_a_row_was_checked(
    tmp_path: Path, changes: dict[str, Any], text: str
) -> None:
    attest(write(tmp_path), **changes)
    write(tmp_path, "els", 2.0)
    assert shown(tmp_path) == {"ls": text, "els": "claimed"}


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"items": [[0, 8]]}, "was altered: it does not have the digest that it states"),
        ({"largest_difference": 1e-6}, "was altered: it does not have the digest"),
        ({"sha256": "0" * 64}, "was altered: it does not have the digest"),
        ({"items": [[4, 8], [0, 2]]}, "items must be ranges that hold some, ascending and apart"),
        ({"items": [[0, 4], [2, 8]]}, "items must be ranges that hold some, ascending and apart"),
        ({"items": [[3, 3]]}, "items must be ranges that hold some, ascending and apart"),
        ({"items": []}, "items must be ranges that hold some, ascending and apart"),
        ({"items": [[-2, 8]]}, "greater than or equal to 0"),
        ({"largest_difference": 1.0}, "must be from 0 to the tolerance, 0.0001, got 1"),
        ({"largest_difference": "NaN"}, "largest_difference"),
        ({"schema_version": 2}, "schema_version"),
        ({"signed": "me"}, "signed"),
    ],
)
def test_an_altered_attestation_is_refused_by_name(
    tmp_path: Path, change: dict[str, Any], reason: str
) -> None:
    path = attest(write(tmp_path))
    path.write_text(json.dumps({**json.loads(path.read_text()), **change}))
    with pytest.raises(RunError) as refused:
        shown(tmp_path)
    assert str(path) in str(refused.value)
    assert reason in str(refused.value)


def test_it_is_of_its_record_as_that_is(tmp_path: Path) -> None:
    attest(write(tmp_path))
    write(tmp_path, scale=0.5)
    with pytest.raises(RunError, match=r"is of another ls\.denoiser-mse\.json than lies beside it"):
        shown(tmp_path)


def test_one_of_another_row_is_refused(tmp_path: Path) -> None:
    path, other = attest(write(tmp_path)), write(tmp_path, "els", 2.0)
    path.rename(other.with_suffix(SUFFIX))
    with pytest.raises(RunError, match=r"is the attestation of ls\.denoiser-mse, not of els"):
        shown(tmp_path)


def test_one_without_a_record_is_refused(tmp_path: Path) -> None:
    record = write(tmp_path)
    attest(record)
    write(tmp_path, "els", 2.0)
    record.unlink()
    with pytest.raises(RunError, match=r"ls\.denoiser-mse\.json can't be read"):
        shown(tmp_path)


def test_one_of_more_items_than_there_are_is_refused(tmp_path: Path) -> None:
    attest(write(tmp_path), items=((0, 9),))
    with pytest.raises(RunError, match="speaks of item 8, and the record has 8; remove it"):
        shown(tmp_path)


def test_it_goes_where_its_record_goes(tmp_path: Path) -> None:
    directory = opened(tmp_path)
    written = attest(write(directory.records))
    whole = written.read_bytes()
    directory.set_aside("ls.denoiser-mse")
    assert not list(directory.records.iterdir())
    (kept,) = (tmp_path / "earlier").glob(f"*{SUFFIX}")
    assert kept.read_bytes() == whole
    assert Attestation.model_validate_json(whole, strict=True).is_whole
