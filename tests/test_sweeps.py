"""LABEL=NAME[param={a,b}]: many rows of one text, and rows of a name of one's own."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from plans import small_suite
from runs import fpmc_bench, write_suite

from fpmc_bench.catalog.entries import chosen_entries
from fpmc_bench.catalog.installed import installed_registry
from fpmc_bench.catalog.places import Places
from fpmc_bench.documents.names import parse_selection
from fpmc_bench.documents.suite import Entry
from fpmc_bench.documents.sweeps import parse_sweep
from fpmc_bench.errors import UsageError


def rows(*texts: str) -> tuple[Entry, ...]:
    return chosen_entries(small_suite(), texts, installed_registry(), Places()).suite.entries


def test_braces_are_rows_and_the_last_goes_fastest() -> None:
    found = rows("windows[query_widths={1,inf},response_widths={0.5,2}]".replace("inf", "Infinity"))
    assert [
        (entry.params["query_widths"][0], entry.params["response_widths"]) for entry in found
    ] == [
        (1, [0.5] * 4),
        (1, [2] * 4),
        (float("inf"), [0.5] * 4),
        (float("inf"), [2] * 4),
    ]
    assert found[0].name == "windows_query_widths-1_response_widths-0.5"
    assert len({entry.name for entry in found}) == 4


def test_a_label_is_the_rows_name_with_what_is_swept() -> None:
    (one,) = rows("narrow=windows[query_widths=1,response_widths=2]")
    assert (one.name, one.denoiser) == ("narrow", "windows")
    found = rows("w=windows[query_widths={1,2},response_widths=3]", "mine=optimal")
    assert [entry.name for entry in found] == ["w_query_widths-1", "w_query_widths-2", "mine"]


def test_schedules_texts_and_what_else_is_a_value_can_be_swept() -> None:
    found = rows('lukoianov[threshold=0.5,orientation={"rows",columns}]')
    assert [entry.params["orientation"] for entry in found] == ["rows", "columns"]
    found = rows("ls[patch_sizes={[3,3,1,1],5}]")
    assert [entry.params["patch_sizes"] for entry in found] == [[3, 3, 1, 1], [5] * 4]


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("ls[patch_sizes={}]", "gives no values for patch_sizes"),
        ("ls[patch_sizes={1,1}]", "gives patch_sizes the value 1 twice"),
        ("ls[patch_sizes={1,3]", "can't read"),
        ("ls[patch_sizes={1,{3}}]", "can't read"),
        ("ls{1,2}", "can't read"),
        ("ls[patch_sizes={[[1],[3]]}]", "can't read the values of patch_sizes"),
        ('ls[patch_sizes={"1,3}]', "can't read the values of patch_sizes"),
        ("optimal=ls", "the name of another entry or denoiser"),
        ("windows=ls", "the name of another entry or denoiser"),
        (f"ls[a={{{','.join(map(str, range(1001)))}}}]", "asks for 1001 rows; at most 1000"),
    ],
)
def test_what_can_t_be_meant_is_refused(text: str, complaint: str) -> None:
    with pytest.raises(UsageError, match=complaint):
        rows(text)


@given(st.text(alphabet='ab={}[],"1 .', max_size=20))
def test_any_text_is_read_or_refused(text: str) -> None:
    try:
        found = parse_sweep(text)
    except UsageError:
        return
    for _, choice in found.choices():
        parse_selection(choice)


def test_a_sweep_has_a_figure_of_error_against_the_parameter(tmp_path: Path) -> None:
    """From the records alone: whoever renders them has it, too."""
    suite = write_suite(tmp_path)
    swept = "lukoianov[threshold={0.02,0.1,0.5}]"
    arguments = ("run", suite, "-d", swept, "-d", "mine=optimal", "--items", "3")
    done = fpmc_bench(*arguments, "--run-dir", "run", "-p", "denoiser-mse", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "lukoianov_threshold-0.02" in done.stdout
    picture = tmp_path / "run" / "figures" / "denoiser-mse-lukoianov-threshold.png"
    assert picture.is_file()
    first = picture.read_bytes()
    picture.unlink()
    done = fpmc_bench("leaderboard", "render", "run", "--write", cwd=tmp_path)
    assert (done.returncode, picture.read_bytes() == first) == (0, True)
