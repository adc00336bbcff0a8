"""Listeners as they are chosen: NAME or NAME[param=value,...], or ones that are made already."""

from collections.abc import Sequence

from fpmc_bench.catalog.parameters import make_plugin
from fpmc_bench.catalog.registry import Registry
from fpmc_bench.contracts import Listener
from fpmc_bench.documents.names import parse_selection


def chosen_listeners(chosen: Sequence[str | Listener], registry: Registry) -> tuple[Listener, ...]:
    """In the order given. UnknownNameError and ParameterError for what can't be had."""
    made = []
    for one in chosen:
        if isinstance(one, Listener):
            made.append(one)
            continue
        name, params = parse_selection(one)
        made.append(make_plugin(registry.get("listeners", name).item, params))
    return tuple(made)
