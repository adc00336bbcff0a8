"""The worst items of a row as text."""

from tabulate import tabulate

from fpmc_bench.documents.text import one_line
from fpmc_bench.results.render.numbers import significant
from fpmc_bench.results.worst import WorstItems

DIGITS = 3


def render_worst(found: WorstItems, *, best: bool = False) -> str:
    """A line an item, with the noise level where its error is largest."""
    headers, by_sigma = ["item", "mse@1"], any(one.sigma is not None for one in found.worst)
    grouped = any(one.group is not None for one in found.worst)
    headers += ["largest at sigma", "mse@1 there"] if by_sigma else []
    headers += ["group"] if grouped else []
    lines = []
    for one in found.worst:
        line = [str(one.item), significant(one.value, DIGITS)]
        if one.sigma is not None and one.at_sigma is not None:
            line += [f"{one.sigma:.3g}", significant(one.at_sigma, DIGITS)]
        lines.append(line + ([str(one.group)] if grouped else []))
    which = "best" if best else "worst"
    title = (
        f"{one_line(found.entry)}, {found.protocol} against {one_line(found.reference)}: the "
        f"{len(found.worst)} {which} of {found.items} items"
    )
    table = tabulate(
        lines, headers=headers, disable_numparse=True, colalign=["right"] * len(headers)
    )
    return f"{title}\n\n{table}"
