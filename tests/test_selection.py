"""What `-d` and `--base` mean: entries, and denoisers with parameters."""

import json
import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fpmc_bench.catalog.entries import select_entries
from fpmc_bench.catalog.finding import load_suite
from fpmc_bench.catalog.installed import installed_registry
from fpmc_bench.documents.names import row_name, selection_name
from fpmc_bench.documents.suite import Entry
from fpmc_bench.errors import UnknownNameError, UsageError

VALUES = st.one_of(
    st.integers(-20, 20),
    st.floats(allow_nan=False),
    st.booleans(),
    st.text(alphabet='ab-_./", ', max_size=4).filter(lambda text: text not in ("true", "false")),
)
PARAMETERS = st.dictionaries(
    st.sampled_from(["a", "b"]), st.one_of(VALUES, st.lists(VALUES, max_size=3)), max_size=2
)


def selected(text: str) -> Entry:
    registry = installed_registry()
    (entry,) = select_entries(load_suite("digits"), (text,), registry).entries
    return entry


def test_an_entry_of_the_suite_and_one_with_other_parameters() -> None:
    assert selected("lukoianov").params == {"threshold": 0.005}
    changed = selected('lukoianov[threshold=0.5,orientation="columns"]')
    assert changed.params == {"threshold": 0.5, "orientation": "columns"}
    assert changed.name == "lukoianov_threshold-0.5_orientation-columns"


def test_parameters_may_stand_on_lines_of_their_own() -> None:
    entry = selected("windows[\n    query_widths=[1.0, Infinity],\n    response_widths=[0,0.5]]")
    assert entry.params == {"query_widths": [1.0, float("inf")], "response_widths": [0, 0.5]}


def test_however_many_parameters_its_name_is_fit_for_a_file() -> None:
    widths = ",".join(["11.31"] * 18)
    one, other = (
        selected(f"windows[query_widths=[{widths}],response_widths=[{widths[:-1]}{last}]]").name
        for last in "12"
    )
    assert one != other
    assert one.startswith("windows_query_widths-11.31-11.31")
    assert len(f"{one}.denoiser-mse.attestation") < 255


@settings(max_examples=300)
@given(st.lists(PARAMETERS, min_size=2, max_size=2, unique_by=json.dumps))
def test_other_parameters_make_another_name(choices: list[dict[str, object]]) -> None:
    one, other = (selection_name("ls", params) for params in choices)
    assert one != other
    assert re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._+-]*", one)


def test_names_that_can_be_read_are_left_alone() -> None:
    assert selection_name("windows+qr", {}) == "windows+qr"
    assert selection_name("ls", {"patch_sizes": [15, 7, 3]}) == "ls_patch_sizes-15-7-3"
    assert selection_name("a", {"bias": -1}).startswith("a_bias--1_")
    assert row_name("mynet:denoise") == "mynet-denoise"


def test_a_denoiser_that_the_suite_has_no_entry_for() -> None:
    assert selected('finetuned[weights="a,b.safetensors"]').params == {"weights": "a,b.safetensors"}


def test_what_names_nothing() -> None:
    with pytest.raises(UnknownNameError, match="Did you mean 'wiener'"):
        selected("weiner")
    with pytest.raises(UsageError, match="gives threshold twice"):
        selected("lukoianov[threshold=0.1,threshold=0.02]")
    for text in ("ls[", "ls[=]", "[a=1]", "lukoianov[threshold=0.5,columns]", "ls[a=1]]"):
        with pytest.raises(UsageError, match="can't read"):
            selected(text)
