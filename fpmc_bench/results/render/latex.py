"""A table as LaTeX with booktabs, ready for \\input."""

import re
from collections.abc import Sequence

from fpmc_bench.documents.text import one_line
from fpmc_bench.results.render.cells import (
    NO_RANK,
    entry_text,
    failed_text,
    mean_and_error_text,
    rank_text,
    seconds_text,
    sigma_columns,
)
from fpmc_bench.results.table import RANKED_BY, Table

ESCAPED = str.maketrans(
    {character: f"\\{character}" for character in "&%$#_{}"}
    | {"\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}"}
    | {"<": r"\textless{}", ">": r"\textgreater{}", "|": r"\textbar{}"}
    | {"±": r"$\pm$", "—": r"\textemdash{}"}
)


def render_latex(table: Table) -> str:
    """A table environment, and, where there are errors by noise level, a second with them."""
    metrics = [_escaped(f"{metric} ± s.e.") for metric in table.metrics]
    headers = ["", "", "entry", *metrics, "s/query"]
    rows = [
        [
            _escaped(rank_text(row)),
            "*" if row.best else "",
            _escaped(entry_text(row)),
            *(_number(*mean_and_error_text(row.figures[metric])) for metric in table.metrics),
            _number(seconds_text(row)),
        ]
        for row in table.rows
    ]
    none = [""] * (len(table.metrics) + 1)
    rows += [[_escaped(NO_RANK), "", _escaped(failed_text(row)), *none] for row in table.failed]
    text = _table([headers, *rows], "rll" + "r" * (len(headers) - 3), " ".join(table.caption))
    if table.sigmas:
        (corner, *sigmas), *entries = sigma_columns(table)
        names = [rf"$\{corner}$", *(_escaped(name) for name, *_ in entries)]
        means = zip(*([_number(mean) for mean in column[1:]] for column in entries), strict=True)
        lines = [[sigma, *line] for sigma, line in zip(sigmas, means, strict=True)]
        caption = f"Suite {table.suite}: {RANKED_BY} against {table.reference} by noise level."
        text += "\n" + _table([names, *lines], "r" * len(names), caption)
    return text


def _table(lines: Sequence[Sequence[str]], columns: str, caption: str) -> str:
    header, *rows = [" & ".join(line) + r" \\" for line in lines]
    return "\n".join(
        [
            "% needs \\usepackage{booktabs}",
            r"\begin{table}",
            r"\centering",
            rf"\caption{{{_escaped(caption)}}}",
            rf"\begin{{tabular}}{{{columns}}}",
            *[r"\toprule", header, r"\midrule", *rows, r"\bottomrule"],
            r"\end{tabular}",
            r"\end{table}",
            "",
        ]
    )


def _escaped(text: str) -> str:
    """One line that shows what it is; two hyphens are no dash."""
    return re.sub("-(?=-)", "-{}", one_line(text).translate(ESCAPED))


def _number(*texts: str) -> str:
    """In math mode, a mean and its error joined by ±, with 1.2e-05 as a power of ten."""
    return "$" + r" \pm ".join(map(_factored, texts)) + "$"


def _factored(text: str) -> str:
    if not re.fullmatch(r"-?[0-9.]+(e[+-][0-9]+)?", text):
        return rf"\mathrm{{{text}}}"
    mantissa, _, exponent = text.partition("e")
    return rf"{mantissa} \cdot 10^{{{int(exponent)}}}" if exponent else mantissa
