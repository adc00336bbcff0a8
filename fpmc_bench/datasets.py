"""Loading a dataset plugin: both splits with their fingerprints."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from fpmc_bench.errors import InputError
from fpmc_bench.parameters import make_plugin
from fpmc_bench.registry import Registry, installed_registry
from fpmc_bench.shapes import ImageShape
from fpmc_bench.source import Source


@dataclass(frozen=True)
class LoadedDataset:
    """The images of one dataset under one choice of its parameters."""

    name: str
    params: Mapping[str, Any]
    train: Source
    test: Source

    @property
    def shape(self) -> ImageShape:
        return self.train.shape

    @cached_property
    def fingerprint(self) -> str:
        return f"{self.train.fingerprint}/{self.test.fingerprint}"


def load_dataset(
    name: str, params: Mapping[str, Any] | None = None, *, registry: Registry | None = None
) -> LoadedDataset:
    """Load a registered dataset; UnknownNameError and ParameterError say what was wrong."""
    registered = (registry or installed_registry()).get("datasets", name)
    plugin = make_plugin(registered.item, params)
    train, test = plugin.load("train"), plugin.load("test")
    if train.shape != test.shape:
        raise InputError(
            f"dataset '{name}' has training images {train.shape} and test images {test.shape}"
        )
    return LoadedDataset(name, dict(params or {}), train, test)
