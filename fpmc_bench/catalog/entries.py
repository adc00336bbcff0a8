"""What `-d` means: an entry of the suite, or any registered denoiser with parameters.

-d ls                        the suite's entry of that name
-d optimal                   a registered denoiser with its default parameters
-d 'lukoianov[threshold=0.02,orientation="columns"]'    values are JSON
"""

from collections.abc import Sequence

from fpmc_bench.catalog.registry import Registry
from fpmc_bench.documents.names import parse_selection, selection_name
from fpmc_bench.documents.suite import Entry, Suite
from fpmc_bench.errors import UnknownNameError


def select_entries(suite: Suite, selections: Sequence[str], registry: Registry) -> Suite:
    """The suite with only the selected entries, in the order asked for."""
    if not selections:
        return suite
    entries = [_entry(suite, text, registry).model_dump() for text in selections]
    return suite.replaced(entries=entries)


def _entry(suite: Suite, text: str, registry: Registry) -> Entry:
    name, params = parse_selection(text)
    in_suite = {entry.name: entry for entry in suite.entries}
    if name in in_suite:
        base = in_suite[name]
        if not params:
            return base
        changed = {**base.params, **params}
        return base.model_copy(update={"name": selection_name(name, params), "params": changed})
    if name in registry.items["denoisers"]:
        return Entry(name=selection_name(name, params), denoiser=name, params=params)
    raise UnknownNameError("entry or denoiser", name, {*in_suite, *registry.items["denoisers"]})
