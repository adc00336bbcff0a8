"""What can be named here: what plugins offer, and what the user's configuration names beside it."""

import importlib.metadata
from functools import cache

from fpmc_bench import hookspecs
from fpmc_bench.catalog.configuration import Configuration, configuration
from fpmc_bench.catalog.own import with_own
from fpmc_bench.catalog.registry import Registry, build_registry


def installed_registry() -> Registry:
    """The registry of this environment.

    UsageError for a configuration file that can't be read or names what is not there.
    """
    return registry_with(configuration())


@cache
def registry_with(configuration: Configuration) -> Registry:
    """That of this state of the configuration: read once."""
    plugins = build_registry(importlib.metadata.entry_points(group=hookspecs.PROJECT))
    return with_own(plugins, configuration)
