"""A method looks the same in every figure, and methods can be told apart, also without hues."""

from itertools import combinations
from pathlib import Path

import pytest
from synthetic_records import write_exact_records

from fpmc_bench.documents.record import read_records
from fpmc_bench.results.render.colours import (
    BUILT_IN,
    NETWORK,
    NEW_COLOURS,
    looks,
    looks_of,
)
from fpmc_bench.results.table import build_tables

COLOURS = [*(look.colour for look in BUILT_IN.values()), *NEW_COLOURS, NETWORK.colour]
APART = ("mine", "laplace", "soft-optimal", "nystrom")
"""Not built in, and far from each other."""
STRANGERS = [f"mine-{number}" for number in range(20)]


def luminance(colour: str) -> float:
    """Relative luminance of WCAG 2.1."""
    parts = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    linear = [
        part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts
    ]
    return sum(share * part for share, part in zip((0.2126, 0.7152, 0.0722), linear, strict=True))


@pytest.mark.parametrize("colour", COLOURS)
def test_every_colour_is_seen_on_white_and_on_near_black(colour: str) -> None:
    """WCAG 2.1, 1.4.11: graphics have a contrast of 3."""
    white, dark, own = 1.0, luminance("#161616"), luminance(colour)
    assert (white + 0.05) / (own + 0.05) >= 3
    assert (own + 0.05) / (dark + 0.05) >= 3


def test_built_in_methods_are_told_apart_without_their_hues() -> None:
    shapes = [(look.dash, look.marker) for look in (*BUILT_IN.values(), NETWORK)]
    assert len(set(shapes)) == len(shapes)
    assert len(set(COLOURS)) == len(COLOURS)


def test_a_name_looks_the_same_whoever_else_is_there() -> None:
    alone = {name: looks([name])[name] for name in (*BUILT_IN, *APART, "ls[patch_sizes=3]")}
    together = looks(reversed(alone))
    assert together == alone
    assert list(together) == list(reversed(alone))
    assert all(alone[name] == look for name, look in BUILT_IN.items())


def test_variants_have_the_hue_and_marker_of_their_method() -> None:
    found = looks(["ls", "ls[patch_sizes=3]", "ls[patch_sizes=5]", "mine", "mine+qr", "lsd"])
    for name, family in (("ls[patch_sizes=3]", "ls"), ("mine+qr", "mine")):
        own, whole = found[name], found[family]
        assert (own.colour, own.marker) == (whole.colour, whole.marker)
        assert own.dash != whole.dash == "solid"
    assert found["ls[patch_sizes=3]"] != found["ls[patch_sizes=5]"]
    assert found["lsd"].colour != found["ls"].colour
    assert looks(["pspc-square-2"])["pspc-square-2"].colour == BUILT_IN["pspc-square"].colour


def test_names_that_are_not_built_in_never_look_alike_while_there_are_looks() -> None:
    found = looks([*BUILT_IN, *STRANGERS])
    for a, b in combinations(found.values(), 2):
        assert a != b
    assert looks([*STRANGERS, *BUILT_IN]) == found, "their order is nothing"
    assert len(looks([*STRANGERS, *(f"yours-{number}" for number in range(20))])) == 40


def test_the_other_network_looks_like_itself_whatever_its_name(tmp_path: Path) -> None:
    write_exact_records(tmp_path)
    for table in build_tables(read_records(tmp_path)):
        found = looks_of(table)
        assert [name for name, look in found.items() if look == NETWORK] == [table.rows[0].entry]
        assert list(found) == [row.entry for row in table.rows]
