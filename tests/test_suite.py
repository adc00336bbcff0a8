"""Suites: every fault listed at once, a hash of what figures depend on, nothing lost in writing."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import BaseModel

import fpmc_bench.documents.suite as suite_module
from fpmc_bench.catalog.finding import load_suite
from fpmc_bench.documents.suite import PROTOCOLS, Suite, read_suite, validated_suite
from fpmc_bench.errors import SuiteError, UnknownNameError

DOCS = Path(__file__).parents[1] / "docs"

TOML = """
    name = "small"
    items = 20
    [dataset]
    name = "digits"
    [teachers]
    tuning = "one"
    evaluation = "two"
    [[entries]]
    name = "first"
    denoiser = "optimal"
    [[entries]]
    name = "second"
    denoiser = "ls"
    params = { patch_sizes = [3, 5] }
"""


def read(folder: Path, text: str) -> Suite:
    path = folder / "suite.toml"
    path.write_text(text, encoding="utf-8")
    return read_suite(path)


def test_a_suite_is_read_with_its_defaults(tmp_path: Path) -> None:
    suite = read(tmp_path, TOML)
    assert (suite.name, suite.items, suite.block_items, suite.seed) == ("small", 20, 50, 0)
    assert suite.protocols == tuple(PROTOCOLS)
    assert (suite.sigmas.steps, suite.sigmas.smin, suite.sigmas.smax) == (18, 0.002, 80.0)
    assert suite.entry("second").params == {"patch_sizes": [3, 5]}


def test_every_fault_is_listed_at_once(tmp_path: Path) -> None:
    text = TOML.replace("items = 20", "items = 1\nitem = 3")
    text = text.replace('tuning = "one"', "").replace('name = "first"', 'name = "a/b"')
    with pytest.raises(SuiteError) as caught:
        read(tmp_path, text)
    message = str(caught.value)
    assert "suite.toml" in message
    for field in ("items:", "item:", "teachers.tuning:", "entries.0.name:"):
        assert f"\n  {field}" in message


@pytest.mark.parametrize(
    ("old", "new", "field"),
    [
        ("items = 20", "items = 2.5", "items"),
        ("items = 20", "items = 20\nprotocols = ['fid']", "protocols.0"),
        ("items = 20", "items = 20\nprotocols = []", "protocols"),
        ("items = 20", "items = '20'", "items"),
        ("items = 20", "items = 20\nseed = true", "seed"),
        ("items = 20", "items = 20\nschema_version = 2", "schema_version"),
        ("items = 20", "items = 20\nseed = -1", "seed"),
        ("items = 20", "items = 20\nblock_items = 0", "block_items"),
        ("[teachers]", "[sigmas]\nsteps = 1\n[teachers]", "sigmas.steps"),
        ("[teachers]", "[sensitivity]\nsamples = 0\n[teachers]", "sensitivity.samples"),
        ('"optimal"', '"optimal"\naugmentations = [{name = "hflip", rate = 21}]', "rate"),
        ('"optimal"', '"optimal"\nteacher = "one"', "entries.0.teacher"),
        ('"second"', '"first"', "stand twice: first"),
        ("items = 20", "items = 20\nlevels = [0, 18]", "different numbers from 0 to 17"),
        ("items = 20", "items = 20\nlevels = [1, 1]", "got [1, 1]"),
        ("items = 20", "items = 20\nlevels = [-1]", "levels.0"),
        ("items = 20", "items = 20\nlevels = []", "levels"),
    ],
)
def test_a_fault_is_named_by_its_field(tmp_path: Path, old: str, new: str, field: str) -> None:
    with pytest.raises(SuiteError, match=re.escape(field)):
        read(tmp_path, TOML.replace(old, new))


def test_bad_toml_and_no_file_are_said_plainly(tmp_path: Path) -> None:
    with pytest.raises(SuiteError, match=r"suite\.toml is not valid TOML"):
        read(tmp_path, "name = ")
    (tmp_path / "latin.toml").write_bytes(b'name = "\xe9"')
    with pytest.raises(SuiteError, match=r"latin\.toml is not UTF-8.*byte 0xe9 in line 1"):
        read_suite(tmp_path / "latin.toml")
    with pytest.raises(SuiteError, match=r"no suite file at .*none\.toml"):
        load_suite(tmp_path / "none.toml")


def test_the_fingerprint_ignores_layout_comments_and_description(tmp_path: Path) -> None:
    plain = read(tmp_path, TOML)
    dressed = TOML.replace("items = 20", "# twenty\nseed = 0\nitems   =   20\ndescription = 'x'")
    assert read(tmp_path, dressed).fingerprint == plain.fingerprint


def test_the_fingerprint_ignores_what_entries_need_not_share(tmp_path: Path) -> None:
    suite = read(tmp_path, TOML)
    fewer = suite.replaced(entries=suite.entries[:1], protocols=("sample-mse",))
    assert fewer.fingerprint == suite.fingerprint


@pytest.mark.parametrize(
    "change",
    [
        {"items": 21},
        {"seed": 1},
        {"block_items": 10},
        {"name": "other"},
        {"dataset": {"name": "photos"}},
        {"dataset": {"name": "digits", "params": {"side_px": 32}}},
        {"sigmas": {"steps": 17}},
        {"sigmas": {"smax": 79.0}},
        {"teachers": {"tuning": "one", "evaluation": "three"}},
        {"sensitivity": {"samples": 33}},
    ],
)
def test_the_fingerprint_follows_what_figures_depend_on(
    tmp_path: Path, change: dict[str, Any]
) -> None:
    suite = read(tmp_path, TOML)
    assert suite.replaced(**change).fingerprint != suite.fingerprint


def test_a_changed_suite_is_validated_anew(tmp_path: Path) -> None:
    with pytest.raises(SuiteError, match="the changed suite is not a valid suite:\n  items"):
        read(tmp_path, TOML).replaced(items=1)


def test_a_suite_is_frozen(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="frozen"):
        read(tmp_path, TOML).items = 3  # type: ignore[misc]


def test_an_unknown_entry_suggests_a_near_one(tmp_path: Path) -> None:
    with pytest.raises(UnknownNameError, match="Did you mean 'second'"):
        read(tmp_path, TOML).entry("secnd")


names = st.from_regex(r"[A-Za-z0-9][A-Za-z0-9._-]{0,8}", fullmatch=True)
scalars = (
    st.booleans() | st.integers(-99, 99) | st.floats(-9, 9) | st.text("aé\"\\\n' #", max_size=6)
)
params = st.dictionaries(names, scalars | st.lists(st.integers(0, 99), max_size=3), max_size=3)
entries = st.fixed_dictionaries(
    {"name": names, "denoiser": names, "params": params},
    optional={
        "augmentations": st.lists(
            st.fixed_dictionaries({"name": names, "rate": st.floats(0.25, 20), "params": params}),
            max_size=2,
        )
    },
)
suites = st.fixed_dictionaries(
    {
        "name": names,
        "dataset": st.fixed_dictionaries({"name": names}, optional={"params": params}),
        "teachers": st.fixed_dictionaries({"tuning": names, "evaluation": names}),
        "items": st.integers(2, 1000),
        "entries": st.lists(entries, min_size=1, max_size=3, unique_by=lambda entry: entry["name"]),
    },
    optional={
        "description": st.text("aé\"\\\n' #", max_size=12),
        "seed": st.integers(0, 2**40),
        "block_items": st.integers(1, 64),
        "sigmas": st.fixed_dictionaries({"steps": st.integers(2, 64), "rho": st.floats(1, 9)}),
        "sensitivity": st.fixed_dictionaries({"samples": st.integers(1, 64)}),
        "levels": st.lists(st.integers(0, 1), min_size=1, unique=True),
        "protocols": st.lists(st.sampled_from(list(PROTOCOLS)), min_size=1, unique=True),
    },
)


def as_toml(value: Any) -> str:
    """Plain data as a TOML value; JSON's scalars and arrays are TOML's."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"{json.dumps(k)} = {as_toml(v)}" for k, v in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(as_toml, value)) + "]"
    return json.dumps(value, ensure_ascii=False)


@given(content=suites)
@settings(max_examples=60, deadline=None)
def test_nothing_is_lost_in_toml_or_json(
    content: dict[str, Any], tmp_path_factory: pytest.TempPathFactory
) -> None:
    suite = validated_suite(content, "a test")
    plain = suite.model_dump(mode="json", exclude_none=True)
    text = "\n".join(f"{key} = {as_toml(value)}" for key, value in plain.items())
    path = tmp_path_factory.getbasetemp() / "round-trip.toml"
    path.write_text(text, encoding="utf-8")
    assert read_suite(path) == suite
    assert validated_suite(json.loads(suite.model_dump_json()), "a test") == suite
    assert read_suite(path).fingerprint == suite.fingerprint


def test_every_field_is_documented() -> None:
    text = (DOCS / "suites.md").read_text(encoding="utf-8")
    models = [
        value
        for value in vars(suite_module).values()
        if isinstance(value, type) and issubclass(value, BaseModel) and value is not BaseModel
    ]
    fields = {field for model in models for field in model.model_fields}
    assert {"block_items", "evaluation", "rate"} <= fields
    assert sorted(field for field in fields if f"`{field}`" not in text) == []
