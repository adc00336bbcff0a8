"""A table as LaTeX with booktabs, ready for \\input."""

import re
import textwrap
from collections.abc import Sequence

from fpmc_bench.documents.text import one_line
from fpmc_bench.results.render.cells import (
    NO_RANK,
    entry_text,
    failed_text,
    metric_columns,
    rank_text,
    seconds_text,
    sigma_columns,
)
from fpmc_bench.results.render.latex_width import PAGE_POINTS, fitting, table_points
from fpmc_bench.results.table import RANKED_BY, Table

NAME_LETTERS = 26
BY_SIGMA = ("footnotesize", 3.0)
"""Letters and gap with which errors by noise level are shared between tables."""

SIGMA = "\N{GREEK SMALL LETTER SIGMA}"
ESCAPED = str.maketrans(
    {character: f"\\{character}" for character in "&%$#_{}"}
    | {"\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}"}
    | {"<": r"\textless{}", ">": r"\textgreater{}", "|": r"\textbar{}"}
    | {"±": r"$\pm$", SIGMA: r"$\sigma$", "—": r"\textemdash{}"}
)


def render_latex(table: Table) -> str:
    """Table environments no wider than a page: the leaderboard, and errors by noise level.

    These take several tables where there are many entries.
    """
    metrics = (f"{metric} ± s.e." for metric in table.shown)
    headers = ["", "", "entry", "checked", *metrics, "s/query"]
    rows = [
        [
            rank_text(row),
            "*" if row.best else "",
            _stacked(entry_text(row)),
            row.verification,
            *map("±".join, figures),
            seconds_text(row),
        ]
        for row, *figures in zip(table.rows, *metric_columns(table), strict=True)
    ]
    none = [""] * (len(table.shown) + 2)
    failed = [[NO_RANK, "", _stacked(failed_text(row)), *none] for row in table.failed]
    lines = [headers, *rows, *failed]
    parts = [_table(lines, "rlll", " ".join(table.caption), *fitting(lines))]
    if table.sigmas:
        caption = f"Suite {table.suite}: {RANKED_BY} against {table.reference} by noise level"
        blocks = _blocks(sigma_columns(table))
        for number, block in enumerate(blocks, start=1):
            which = f" ({number} of {len(blocks)})" if len(blocks) > 1 else ""
            by_sigma = list(zip(*block, strict=True))
            parts.append(_table(by_sigma, "r", f"{caption}{which}.", *BY_SIGMA))
    return "\n".join(parts)


def _blocks(columns: Sequence[Sequence[str]]) -> list[list[Sequence[str]]]:
    """The first column with as many of the others as fit on a page, until all are somewhere."""
    (corner, *sigmas), *entries = columns
    first = [SIGMA if corner == "sigma" else corner, *sigmas]
    blocks: list[list[Sequence[str]]] = [[first]]
    for name, *means in entries:
        column = [_stacked(name), *means]
        wider = list(zip(*blocks[-1], column, strict=True))
        if len(blocks[-1]) > 1 and table_points(wider, *BY_SIGMA) > PAGE_POINTS:
            blocks.append([first])
        blocks[-1].append(column)
    return blocks


def _table(
    lines: Sequence[Sequence[str]], texts: str, caption: str, size: str, gap_points: float
) -> str:
    """Of lines of cells; the first columns hold text, aligned as `texts` says, others numbers."""
    header, *rows = lines
    cells = [
        [
            *map(_cell, row[: len(texts)]),
            *(_number(*cell.split("±")) for cell in row[len(texts) :]),
        ]
        for row in rows
    ]
    head, *body = [" & ".join(line) + r" \\" for line in (map(_cell, header), *cells)]
    return "\n".join(
        [
            "% needs \\usepackage{booktabs}",
            r"\begin{table}",
            r"\centering",
            rf"\caption{{{_escaped(caption)}}}",
            rf"\{size}\setlength{{\tabcolsep}}{{{gap_points:g}pt}}",
            rf"\begin{{tabular}}{{{texts}{'r' * (len(header) - len(texts))}}}",
            *[r"\toprule", head, r"\midrule", *body, r"\bottomrule"],
            r"\end{tabular}",
            r"\end{table}",
            "",
        ]
    )


def _stacked(name: str) -> str:
    """A name in lines that are short enough for a table."""
    return "\n".join(textwrap.wrap(one_line(name), NAME_LETTERS))


def _cell(text: str) -> str:
    """Text of one line, or of several above each other."""
    lines = [_escaped(line) for line in text.split("\n")]
    if len(lines) == 1:
        return lines[0]
    return r"\shortstack[l]{" + r"\\".join(lines) + "}"


def _escaped(text: str) -> str:
    """One line that shows what it is; two hyphens are no dash."""
    return re.sub("-(?=-)", "-{}", one_line(text).translate(ESCAPED))


def _number(*texts: str) -> str:
    """In math mode, a mean and its error joined by ±, with 1.2e-05 as a power of ten."""
    if texts == ("",):
        return ""
    return "$" + r" \pm ".join(map(_factored, texts)) + "$"


def _factored(text: str) -> str:
    if not re.fullmatch(r"-?[0-9.]+(e[+-][0-9]+)?", text):
        return rf"\mathrm{{{text}}}"
    mantissa, _, exponent = text.partition("e")
    return rf"{mantissa} \cdot 10^{{{int(exponent)}}}" if exponent else mantissa
