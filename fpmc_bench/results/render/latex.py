"""A table as LaTeX with booktabs, ready for \\input into an article of one column."""

import re
from collections.abc import Iterator, Sequence
from itertools import zip_longest
from typing import NamedTuple

from fpmc_bench.documents.text import one_line
from fpmc_bench.results.render.cells import (
    CHECKED,
    TIMES,
    entry_text,
    folded,
    levels,
    notes,
    ranking,
)
from fpmc_bench.results.render.latex_size import (
    HEIGHT_POINTS,
    PAGE_POINTS,
    RULES_POINTS,
    fitting,
    prose_points,
    rows_points,
    table_points,
)
from fpmc_bench.results.table import RANKED_BY, Table

NAME_LETTERS = 26
NOTES = "footnotesize"
BY_LEVEL = ("footnotesize", 3.0)
"""Letters and gap with which errors by noise level are shared between tables."""

SIGMA = "\N{GREEK SMALL LETTER SIGMA}"
BREAK = "\N{ZERO WIDTH SPACE}"
"""Where a long word may end in a line: no text has one, `one_line` shows it otherwise."""
LONG_WORD = re.compile(r"\S{16}(?=\S)")
SUPERSCRIPT = str.maketrans("⁻⁰¹²³⁴⁵⁶⁷⁸⁹", "-0123456789")
ACCENTED = "ÀÁÂÃÄÅÆÇÈÉÊËÌÍÎÏÑÒÓÔÕÖØÙÚÛÜÝßàáâãäåæçèéêëìíîïñòóôõöøùúûüýÿ"
ESCAPED = str.maketrans(
    {character: f"\\{character}" for character in "&%$#_{}"}
    | {"\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}"}
    | {"<": r"\textless{}", ">": r"\textgreater{}", "|": r"\textbar{}"}
    | {"`": r"\textasciigrave{}", BREAK: r"\allowbreak{}"}
    | {"±": r"$\pm$", SIGMA: r"$\sigma$", "—": r"\textemdash{}"}
)
KNOWN = "±" + SIGMA + "—" + BREAK + ACCENTED


class Tabular(NamedTuple):
    """Lines of cells, the first `heads` of them above the rule; `texts` align the first columns."""

    lines: Sequence[Sequence[str]]
    heads: int
    texts: str
    size: str
    gap_points: float

    @property
    def height_points(self) -> float:
        return rows_points(self.lines, self.size) + RULES_POINTS


def render_latex(table: Table) -> str:
    """Table environments no larger than a page: the leaderboard, and errors by noise level.

    Each of these takes several where there are many entries. Notes stand beneath the last of the
    leaderboard.
    """
    beneath = notes(table)
    parts = ["% needs \\usepackage{booktabs}; table* where the text has two columns\n"]
    parts += _environments(_split(_ranking(table), table.caption[0]), table.caption[0], beneath)
    if table.sigmas:
        caption = (
            f"Suite {table.suite}, {table.protocol}: {RANKED_BY} against {table.reference} by "
            f"noise level {SIGMA}, in units of the power of ten below it."
        )
        tabulars = [part for block in _by_level(table) for part in _split(block, caption)]
        parts += _environments(tabulars, caption, ())
    return "\n".join(parts)


def _ranking(table: Table) -> Tabular:
    shown = ranking(table)
    figures = [
        ["±".join(pair) for pair in zip(column.values, column.errors, strict=True)]
        for column in shown.figures.values()
    ]
    heads = [
        "\n".join([f"{metric} ± s.e.", *([f"({column.unit})"] if column.unit else [])])
        for metric, column in shown.figures.items()
    ]
    columns = [
        *(shown.ranks, shown.marks, map(_stacked, shown.entries)),
        [text.replace(" (", "\n(") for text in shown.checked],
        *(*figures, shown.seconds.values),
    ]
    seconds = "\n".join(shown.seconds.headed(TIMES).split(" "))
    header = ["", "", "entry", CHECKED, *heads, seconds]
    lines = [header, *zip_longest(*columns, fillvalue="")]
    return Tabular(lines, 1, "rlll", *fitting(lines))


def _by_level(table: Table) -> list[Tabular]:
    """A row an entry, with as many noise levels as fit on a page; all blocks alike wide."""
    names = [_stacked(entry_text(row)) for row in table.rows]
    columns = [[sigma, column.unit, *column.values] for sigma, column in levels(table)]
    for size in range(len(columns), 0, -1):
        blocks = [
            [*zip([SIGMA, "", *names], *columns[start : start + size], strict=True)]
            for start in range(0, len(columns), size)
        ]
        if size == 1 or all(table_points(block, *BY_LEVEL) <= PAGE_POINTS for block in blocks):
            break
    even = -(-len(columns) // len(blocks))
    return [
        Tabular(
            [*zip([SIGMA, "", *names], *columns[start : start + even], strict=True)],
            2,
            "l",
            *BY_LEVEL,
        )
        for start in range(0, len(columns), even)
    ]


def _split(tabular: Tabular, caption: str) -> Iterator[Tabular]:
    """The same in parts that are no higher than a page, each with its head."""
    heads, rows = tabular.lines[: tabular.heads], tabular.lines[tabular.heads :]
    room = HEIGHT_POINTS - _caption_points(caption) - RULES_POINTS
    part = [*heads]
    for row in rows:
        if len(part) > len(heads) and rows_points([*part, row], tabular.size) > room:
            yield tabular._replace(lines=part)
            part = [*heads]
        part.append(row)
    yield tabular._replace(lines=part)


def _environments(
    tabulars: Iterator[Tabular] | Sequence[Tabular], caption: str, beneath: Sequence[str]
) -> list[str]:
    """As many tabulars in a table as a page has room for; notes after the last, in it or behind."""
    pages: list[list[Tabular]] = []
    room = 0.0
    for tabular in tabulars:
        if not pages or tabular.height_points > room:
            pages.append([])
            room = HEIGHT_POINTS - _caption_points(caption)
        pages[-1].append(tabular)
        room -= tabular.height_points
    inside = prose_points(beneath, NOTES) <= room
    parts = []
    for number, page in enumerate(pages, start=1):
        which = f" ({number} of {len(pages)})" if len(pages) > 1 else ""
        last = inside and number == len(pages)
        parts.append(_environment(page, f"{caption}{which}", beneath if last else ()))
    behind = rf"{{\{NOTES}\raggedright\parindent=0pt"
    return parts if inside else [*parts, "\n".join([behind, *_paragraphs(beneath), "}", ""])]


def _environment(tabulars: Sequence[Tabular], caption: str, beneath: Sequence[str]) -> str:
    body = [line for tabular in tabulars for line in (*_tabular(tabular), r"\par\medskip")]
    return "\n".join(
        [
            r"\begin{table}",
            r"\centering",
            rf"\caption{{{_breakable(caption)}}}\smallskip",
            *body[:-1],
            *_beneath(beneath),
            r"\end{table}",
            "",
        ]
    )


def _tabular(tabular: Tabular) -> list[str]:
    texts = len(tabular.texts)
    heads, rows = tabular.lines[: tabular.heads], tabular.lines[tabular.heads :]
    cells = [
        [*map(_cell, row[:texts]), *(_number(*cell.split("±")) for cell in row[texts:])]
        for row in rows
    ]
    head, body = (
        [" & ".join(line) + r" \\" for line in lines]
        for lines in ([[_cell(cell, "r") for cell in row] for row in heads], cells)
    )
    return [
        rf"{{\{tabular.size}\setlength{{\tabcolsep}}{{{tabular.gap_points:g}pt}}",
        rf"\begin{{tabular}}{{{tabular.texts}{'r' * (len(tabular.lines[0]) - texts)}}}",
        *[r"\toprule", *head, r"\midrule", *body, r"\bottomrule"],
        r"\end{tabular}}",
    ]


def _beneath(texts: Sequence[str]) -> list[str]:
    """Notes as wide as the page, inside a table."""
    if not texts:
        return []
    start = rf"\begin{{minipage}}{{\linewidth}}\{NOTES}\raggedright"
    return [r"\par\smallskip", start, *_paragraphs(texts), r"\end{minipage}"]


def _paragraphs(texts: Sequence[str]) -> list[str]:
    return [rf"{_breakable(text)}\par" for text in texts]


def _caption_points(caption: str) -> float:
    return prose_points([f"Table 10: {caption} (10 of 10)"], "normalsize") + 20


def _stacked(name: str) -> str:
    return "\n".join(folded(name, NAME_LETTERS))


def _cell(text: str, side: str = "l") -> str:
    """Text of one line, or of several above each other."""
    lines = [_escaped(line) for line in text.split("\n")]
    if len(lines) == 1:
        return lines[0]
    return rf"\shortstack[{side}]{{" + r"\\".join(lines) + "}"


def _escaped(text: str) -> str:
    """One line that shows what it is, whatever LaTeX knows; two hyphens are no dash."""
    return _latex(one_line(text))


def _breakable(text: str) -> str:
    """The same, where words that are longer than a line may end anywhere."""
    return _latex(LONG_WORD.sub(rf"\g<0>{BREAK}", one_line(text)))


def _latex(line: str) -> str:
    known = re.sub("[⁻⁰¹²³⁴⁵⁶⁷⁸⁹]+", lambda found: f"\0{found[0].translate(SUPERSCRIPT)}\1", line)
    known = re.sub(rf"[^\0-\x7f{KNOWN}]", lambda found: f"<U+{ord(found[0]):04X}>", known)
    escaped = re.sub("-(?=-)", "-{}", known.translate(ESCAPED))
    return escaped.replace("\0", "$^{").replace("\1", "}$")


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
