"""The published JSON Schemas: current, and true of what is written."""

import json
from pathlib import Path

import pytest
from jsonschema import Draft202012Validator

from fpmc_bench.documents.schemas import main, schema_texts

ROOT = Path(__file__).parents[1]
PUBLISHED = ROOT / "docs" / "schema"
RECORDS = sorted((ROOT / "leaderboards").glob("*/records/*.json"))
SUITES = sorted((ROOT / "plugins").rglob("suites/*.toml"))
STUDIES = sorted((ROOT / "plugins").rglob("studies/*.toml"))


@pytest.mark.parametrize("name", schema_texts())
def test_the_published_schema_is_current(name: str, tmp_path: Path) -> None:
    main(tmp_path)
    command = "python -m fpmc_bench.documents.schemas docs/schema"
    assert (PUBLISHED / name).read_text() == (tmp_path / name).read_text(), command


def validator(name: str) -> Draft202012Validator:
    schema = json.loads((PUBLISHED / f"{name}.schema.json").read_text())
    Draft202012Validator.check_schema(schema)
    return Draft202012Validator(schema)


def test_every_published_record_is_one_by_the_schema() -> None:
    check = validator("record")
    assert RECORDS
    for path in RECORDS:
        check.validate(json.loads(path.read_text()))


@pytest.mark.parametrize("path", [*SUITES, *STUDIES], ids=lambda path: path.stem)
def test_every_suite_and_study_is_one_by_the_schema(path: Path) -> None:
    import tomllib

    kind = "suite" if path in SUITES else "study"
    validator(kind).validate(tomllib.loads(path.read_text()))


@pytest.mark.parametrize("kind", ["suite", "study", "record", "attestation"])
def test_the_schema_forbids_what_it_does_not_name(kind: str) -> None:
    assert not validator(kind).is_valid({"schema_version": 1, "unheard_of": 1})
