"""LABEL=NAME[param={a,b,...},...]: several selections in one text, and names for rows.

-d 'windows[query_widths={1,2,4},response_widths=1]'     three rows
-d 'narrow=windows[query_widths=1,response_widths=1]'    one row, called narrow
"""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import product
from typing import Any

from fpmc_bench.documents.names import parse_selection, selection_name, selection_text
from fpmc_bench.errors import UsageError
from fpmc_bench.storage.notations import parsed_json

MOST_ROWS = 1000
"""Of one text: far more than anybody would look at."""
LABELLED = re.compile(
    r"\s*(?P<label>[A-Za-z0-9][A-Za-z0-9._+-]*)=(?P<text>[^=\[\]]+(\[.*)?)", re.DOTALL
)
SWEPT = re.compile(r"(?<=[\[,])(\s*\w+=)\{([^{}]*)\}(?=\s*[,\]])")
QUOTED = re.compile(r"\"[^\"]*\"")
VALUE = re.compile(r"(?:\[[^\]]*\]|\"[^\"]*\"|[^,\[\]\"])+")


@dataclass(frozen=True)
class Sweep:
    """A denoiser or entry by name, its parameters, and the values of those that are swept.

    `label` is what its rows are to be called; None: after name and parameters.
    """

    label: str | None
    name: str
    params: Mapping[str, Any]
    swept: Mapping[str, tuple[Any, ...]]

    @property
    def base(self) -> str:
        """The selection without what is swept, as `parse_selection` reads it."""
        kept = {key: value for key, value in self.params.items() if key not in self.swept}
        return selection_text(self.name, kept)

    def choices(self) -> list[tuple[str | None, str]]:
        """(name of the row or None, selection as `parse_selection` reads it), the last fastest."""
        found = []
        for values in product(*self.swept.values()):
            chosen = dict(zip(self.swept, values, strict=True))
            label = selection_name(self.label, chosen) if self.label else None
            found.append((label, selection_text(self.name, {**self.params, **chosen})))
        return found


def parse_sweep(text: str) -> Sweep:
    """UsageError for what can't be read, for braces without values, and for a value twice."""
    labelled = LABELLED.fullmatch(text)
    label, rest = (labelled["label"], labelled["text"]) if labelled else (None, text)
    listed = [values for _, values in SWEPT.findall(rest)]
    name, params = parse_selection(SWEPT.sub(r"\1null", rest) if listed else rest)
    if re.search(r"[{}]", QUOTED.sub("", SWEPT.sub("", rest))):
        raise UsageError(f"can't read '{text}'; values to sweep stand as [param={{a,b,c}}]")
    keys = [one.strip().removesuffix("=") for one, _ in SWEPT.findall(rest)]
    swept = {key: _values(text, key, one) for key, one in zip(keys, listed, strict=True)}
    rows = 1
    for values in swept.values():
        rows *= len(values)
    if rows > MOST_ROWS:
        raise UsageError(f"'{text}' asks for {rows} rows; at most {MOST_ROWS} are meant by one")
    return Sweep(label, name, params, swept)


def _values(text: str, key: str, listed: str) -> tuple[Any, ...]:
    values = [_value(one) for one in VALUE.findall(listed) if one.strip()]
    if VALUE.sub("", listed).strip(", \t\n"):  # something that is no value
        raise UsageError(f"can't read the values of {key} in '{text}'; expected {key}={{a,b,c}}")
    if not values:
        raise UsageError(f"'{text}' gives no values for {key}; expected {key}={{a,b,c}}")
    written = [json.dumps(value) for value in values]
    if twice := [one for one in written if written.count(one) > 1]:
        raise UsageError(f"'{text}' gives {key} the value {twice[0]} twice")
    return tuple(values)


def _value(text: str) -> Any:
    """As JSON has it; else the text itself."""
    try:
        return parsed_json(text)
    except ValueError:
        return text.strip()
