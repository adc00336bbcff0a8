"""Loading a dataset plugin: its splits with their fingerprints."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from fpmc_bench.catalog.installed import installed_registry
from fpmc_bench.catalog.parameters import make_plugin
from fpmc_bench.catalog.places import Places
from fpmc_bench.catalog.process_state import own_randomness
from fpmc_bench.catalog.registry import Registry
from fpmc_bench.catalog.strangers import strangers_code
from fpmc_bench.contracts import Dataset, FileDataset, Split
from fpmc_bench.documents.names import selection_text
from fpmc_bench.errors import InputError, MissingFilesError
from fpmc_bench.fpmc.shapes import ImageShape
from fpmc_bench.fpmc.source import Source
from fpmc_bench.images.notices import notice
from fpmc_bench.images.twins import shared_images


@dataclass(frozen=True)
class LoadedDataset:
    """The images of one dataset under one choice of its parameters.

    `test` is None where the dataset has no images to measure on.
    """

    name: str
    params: Mapping[str, Any]
    train: Source
    test: Source | None

    def __repr__(self) -> str:
        tested = f"{len(self.test)} test images" if self.test else "no test images"
        return (
            f"LoadedDataset({self.name}: {len(self.train)} training images, {tested}, {self.shape})"
        )

    @property
    def shape(self) -> ImageShape:
        return self.train.shape

    @cached_property
    def fingerprint(self) -> str:
        return f"{self.train.fingerprint}/{self.test.fingerprint if self.test else None}"

    @property
    def called(self) -> dict[str, str]:
        """Fingerprint -> what a person calls these images."""
        name = selection_text(self.name, self.params)
        tested = {self.test.fingerprint: f"test images of {name}"} if self.test else {}
        return {**tested, self.train.fingerprint: f"training images of {name}"}

    @cached_property
    def test_images_in_train(self) -> int:
        """How many test images are training images too, in every value."""
        return 0 if self.test is None else shared_images(self.test.images, self.train.images)


def load_dataset(
    name: str,
    params: Mapping[str, Any] | None = None,
    *,
    places: Places | None = None,
    registry: Registry | None = None,
) -> LoadedDataset:
    """Load a registered dataset.

    `places` are looked up where the dataset is one that its user keeps in files. Raises
    UnknownNameError, ParameterError, MissingFilesError, or InputError for files of another kind.
    """
    places = places or Places()
    known = registry or installed_registry()
    places.refuse_unknown(known)
    registered = known.get("datasets", name)
    plugin = make_plugin(registered.item, params)
    if missing := missing_dataset(registered.item, places):
        raise MissingFilesError([missing])
    train = _split(plugin, "train", places)
    test = _split(plugin, "test", places) if "test" in plugin.splits else None
    if test is not None and train.shape != test.shape:
        raise InputError(
            f"dataset '{name}' has training images {train.shape} and test images {test.shape}"
        )
    return LoadedDataset(name, dict(params or {}), train, test)


def missing_dataset(cls: type[Dataset], places: Places) -> str | None:
    """What a user has to do before the dataset can be read; None: nothing."""
    if not issubclass(cls, FileDataset):
        return None
    return places.missing("data", "dataset", cls.name, cls.expects)


def _split(plugin: Dataset, split: Split, places: Places) -> Source:
    with own_randomness(), strangers_code(f"dataset '{plugin.name}'", notice):
        if not isinstance(plugin, FileDataset):
            return plugin.load(split)
        return plugin.load_from(places.path("data", plugin.name), split)
