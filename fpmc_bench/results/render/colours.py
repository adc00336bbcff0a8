"""How each method looks in every figure: by its name, never by its rank or by who else is there.

What was made of a method (`windows+qr`, `ls[patch_sizes=3]`) has the method's hue and marker, and
dashes of its own. Every colour has a contrast of 3 to white and to near-black (`#161616`), so that
one serves both, and no two of the built-in methods have the same marker and dashes, for readers
who don't see the hues and for paper without them.
"""

import hashlib
import re
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import product
from typing import Literal

from fpmc_bench.results.table import Table

Dash = Literal["solid", "dash", "dot", "dashdot"]
Marker = Literal[
    "circle", "square", "triangle-up", "triangle-down", "diamond", "cross", "x", "star", "hexagon"
]


@dataclass(frozen=True)
class Look:
    """Colour as #rrggbb, dashes and marker; the words are plotly's."""

    colour: str
    dash: Dash
    marker: Marker


BUILT_IN = {
    "optimal": Look("#a07cc8", "solid", "x"),
    "wiener": Look("#d81854", "solid", "star"),
    "ls": Look("#30a86c", "solid", "triangle-down"),
    "els": Look("#009c9c", "solid", "triangle-up"),
    "lukoianov": Look("#6c3cfc", "solid", "hexagon"),
    "pspc-square": Look("#ee4fa5", "solid", "square"),
    "pspc-flex": Look("#e47800", "solid", "diamond"),
    "pspc-flex+qr": Look("#c46200", "dash", "diamond"),
    "pspc-flex+qr+synthetic": Look("#a34a00", "dashdot", "diamond"),
    "windows": Look("#4a90f5", "solid", "circle"),
    "windows+qr": Look("#3a78d8", "dash", "circle"),
    "windows+qr+synthetic": Look("#2f62b8", "dashdot", "circle"),
}
NETWORK = Look("#767676", "dash", "cross")
"""Of the other network, whatever it is called."""
NEW_COLOURS = ("#904890", "#7d7800", "#00786c", "#c03010")
"""Of methods that aren't built in: hues which no built-in one has, while there are so many."""
NEW_MARKERS: tuple[Marker, ...] = ("square", "circle", "triangle-up", "diamond", "triangle-down")
VARIANT_DASHES: tuple[Dash, ...] = ("dash", "dot", "dashdot")

_NEW = tuple(product(NEW_COLOURS, NEW_MARKERS))


def looks(entries: Iterable[str]) -> dict[str, Look]:
    """How the entries of one figure look, in the order given.

    A name looks the same wherever it stands, but where two names that aren't built in would look
    alike in one figure: then the first of them in the order of names keeps its look.
    """
    names = list(entries)
    new = _apart({_family(name) for name in names} - BUILT_IN.keys(), len(_NEW))
    found = {name: BUILT_IN[name] for name in names if name in BUILT_IN}
    for family in sorted({_family(name) for name in names}):
        variants = {name for name in names if name not in found and _family(name) == family}
        colour, marker = _of_family(family, new)
        dashes = _apart(variants - {family}, len(VARIANT_DASHES))
        for name in variants:
            dash = VARIANT_DASHES[dashes[name]] if name in dashes else "solid"
            found[name] = Look(colour, dash, marker)
    return {name: found[name] for name in names}


def looks_of(table: Table) -> dict[str, Look]:
    """How the rows of a table look, by entry; those that failed have no look."""
    entries = looks(row.entry for row in table.rows if row.rank is not None)
    return {row.entry: entries.get(row.entry, NETWORK) for row in table.rows}


def _family(name: str) -> str:
    """The method that a name is a variant of: a built-in one, or what stands before + or [."""
    known = [one for one in BUILT_IN if re.match(rf"{re.escape(one)}(?![A-Za-z0-9])", name)]
    plain = [one for one in known if "+" not in one]
    return max(plain, key=len) if plain else re.split(r"[+\[]", name, maxsplit=1)[0]


def _of_family(family: str, new: dict[str, int]) -> tuple[str, Marker]:
    if family in BUILT_IN:
        return BUILT_IN[family].colour, BUILT_IN[family].marker
    return _NEW[new[family]]


def _apart(names: Iterable[str], places: int) -> dict[str, int]:
    """Each name's place by its hash; where that is taken, the next free one while there is any."""
    taken: dict[str, int] = {}
    for name in sorted(names):
        own = int.from_bytes(hashlib.sha256(name.encode()).digest()[:8]) % places
        free = ((own + step) % places for step in range(places))
        taken[name] = next((place for place in free if place not in taken.values()), own)
    return taken
