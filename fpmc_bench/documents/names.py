"""NAME[param=value,...], and the names of rows, which become names of files.

Other parameters make another name: where characters are lost or cut, a hash tells them apart.
"""

import hashlib
import json
import re
from collections.abc import Mapping
from typing import Any

from fpmc_bench.errors import UsageError
from fpmc_bench.storage.notations import parsed_json

ROW_NAME = r"^[A-Za-z0-9][A-Za-z0-9._+-]*$"
"""Of a row, and of whatever plugins offer."""
SUITE_NAME = r"^[A-Za-z0-9][A-Za-z0-9._-]*$"
"""Of a suite or a study."""
METRIC_NAME = r"^[A-Za-z0-9][A-Za-z0-9._-]*@[0-9]+$"
LONGEST = 80
LONGEST_SELECTION = 10_000
"""In characters: far more than any parameters, and read in no time."""
SELECTION = re.compile(r"(?P<name>[^\[\]]+)(\[(?P<params>.*)\])?", re.DOTALL)
# a part that has matched is kept (++), or quotes could be read in exponentially many ways
PARAMETER = re.compile(r"\b(\w++)=((?>\[[^\]]*\]|\"[^\"]*\"|[^,\[\]])++)(?:,|$)")
SIMPLE = r"(?:\"[A-Za-z0-9._]+\"|[A-Za-z0-9.]+)"
NAMED_BY_ITSELF = re.compile(rf"{SIMPLE}|\[{SIMPLE}(?:, {SIMPLE})+\]")
"""Values as JSON that can be read off their letters and digits alone."""


def parse_selection(text: str) -> tuple[str, dict[str, Any]]:
    """The name and the parameters, as JSON values, of NAME or NAME[param=value,...].

    Commas inside brackets and quotes don't separate. UsageError for what can't be read.
    """
    if len(text) > LONGEST_SELECTION:
        raise UsageError(f"can't read '{text[:40]}...': it has {len(text)} characters")
    match = SELECTION.fullmatch(text.strip())
    if match is None:
        raise UsageError(f"can't read '{text}'; expected NAME or NAME[param=value,...]")
    listed = match["params"] or ""
    params: dict[str, Any] = {}
    for key, value in PARAMETER.findall(listed):
        if key in params:
            raise UsageError(f"'{text}' gives {key} twice")
        try:
            params[key] = parsed_json(value)
        except ValueError:
            params[key] = value.strip()
    if PARAMETER.sub("", listed).strip():  # something that is no parameter
        raise UsageError(f"can't read the parameters of '{text}'; expected [param=value,...]")
    return match["name"], params


def selection_text(name: str, params: Mapping[str, Any]) -> str:
    """NAME or NAME[param=value,...]: what `parse_selection` reads these from."""
    listed = ",".join(f"{key}={json.dumps(value)}" for key, value in params.items())
    return f"{name}[{listed}]" if listed else name


def selection_name(name: str, params: Mapping[str, Any]) -> str:
    """A row's name of its own for every choice of parameters."""
    values = {key: json.dumps(value) for key, value in params.items()}
    parts = [f"{key}-{_plain(value.strip('[]'))}" for key, value in values.items()]
    if not all(map(NAMED_BY_ITSELF.fullmatch, values.values())):
        parts.append(_hash(json.dumps(values)))
    return row_name("_".join([name, *parts]))


def row_name(text: str) -> str:
    """Text as the name of a row: others of its characters become "-"; cut where it is long."""
    plain = _plain(text)
    if not plain or not plain[0].isalnum():
        plain = f"row{plain}"
    return plain if len(plain) <= LONGEST else f"{plain[:LONGEST]}-{_hash(text)}"


def _plain(text: str) -> str:
    return re.sub(r"[^A-Za-z0-9._+-]+", "-", text.strip('"'))


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:8]
