"""What `-d` means: an entry of the suite, or any registered denoiser with parameters.

-d ls                        the suite's entry of that name
-d optimal                   a registered denoiser with its default parameters
-d 'lukoianov[threshold=0.02,orientation="columns"]'    values are JSON
"""

import json
import re
from collections.abc import Sequence
from typing import Any

from fpmc_bench.errors import UnknownNameError, UsageError
from fpmc_bench.names import row_name
from fpmc_bench.registry import Registry
from fpmc_bench.suite import Entry, Suite

SELECTION = re.compile(r"(?P<name>[^\[\]]+)(\[(?P<params>.*)\])?", re.DOTALL)
PARAMETER = re.compile(r"(\w+)=((?:\[[^\]]*\]|\"[^\"]*\"|[^,\[\]])+)(?:,|$)")


def select_entries(suite: Suite, selections: Sequence[str], registry: Registry) -> Suite:
    """The suite with only the selected entries, in the order asked for."""
    if not selections:
        return suite
    entries = [_entry(suite, text, registry).model_dump() for text in selections]
    return suite.replaced(entries=entries)


def _entry(suite: Suite, text: str, registry: Registry) -> Entry:
    match = SELECTION.fullmatch(text.strip())
    if match is None:
        raise UsageError(f"can't read '{text}'; expected NAME or NAME[param=value,...]")
    name, params = match["name"], _parse_params(match["params"], text)
    in_suite = {entry.name: entry for entry in suite.entries}
    if name in in_suite:
        base = in_suite[name]
        if not params:
            return base
        changed = {**base.params, **params}
        return base.model_copy(update={"name": _label(name, params), "params": changed})
    if name in registry.items["denoisers"]:
        return Entry(name=_label(name, params), denoiser=name, params=params)
    raise UnknownNameError("entry or denoiser", name, {*in_suite, *registry.items["denoisers"]})


def _parse_params(text: str | None, whole: str) -> dict[str, Any]:
    """`a=1,b=[1,2],c="x"` -> a dict; commas inside brackets and quotes don't separate."""
    if not text:
        return {}
    params: dict[str, Any] = {}
    for key, value in PARAMETER.findall(text):
        try:
            params[key] = json.loads(value)
        except json.JSONDecodeError:
            params[key] = value.strip()
    if PARAMETER.sub("", text).strip():  # something that is no parameter
        raise UsageError(f"can't read the parameters of '{whole}'; expected [param=value,...]")
    return params


def _label(name: str, params: dict[str, Any]) -> str:
    """A row name of its own for every choice of parameters."""
    parts = [f"{key}-{_plain(value)}" for key, value in params.items()]
    return row_name("_".join([name, *parts]))


def _plain(value: Any) -> str:
    return re.sub(r"[^A-Za-z0-9.]+", "-", json.dumps(value)).strip("-")
