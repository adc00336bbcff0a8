"""Augmented sources: checked when they are planned, made when they are asked for."""

from collections.abc import Sequence
from dataclasses import dataclass

from fpmc_bench.catalog.code import origin_of
from fpmc_bench.catalog.context import Context
from fpmc_bench.catalog.naming import make_augmentation
from fpmc_bench.contracts import Augmentation
from fpmc_bench.documents.names import selection_text
from fpmc_bench.documents.provenance import AddedImages, SourceRecipe
from fpmc_bench.documents.suite import SourceAugmentation
from fpmc_bench.fpmc.source import Source
from fpmc_bench.fpmc.union import Union
from fpmc_bench.storage.names import remember_names


@dataclass(frozen=True, eq=False)
class PlannedSource:
    """The training images with what augmentations add to them, known by its recipe."""

    context: Context
    plugins: tuple[Augmentation, ...] = ()
    added: tuple[AddedImages, ...] = ()

    @property
    def recipe(self) -> SourceRecipe:
        return SourceRecipe(images=self.context.dataset.train.fingerprint, added=self.added)

    def made(self) -> Source:
        """The union of all parts, each where it lies. Raises whatever a plugin raises."""
        source = self.context.dataset.train
        parts = [source]
        for plugin, added in zip(self.plugins, self.added, strict=True):
            parts.append(plugin.augment(self.context.augmentation_task(added.rate)))
        if len(parts) == 1:
            return source
        if len({(part.dtype, part.scale) for part in parts}) > 1:
            parts = [
                Source(part.values(), part.log_weights, made_from=part.rows_in(source))
                for part in parts
            ]
        union = Union(parts, source)
        images = self.context.dataset.called[source.fingerprint]
        remember_names({union.fingerprint: f"{images} with {', '.join(map(_called, self.added))}"})
        return union


def _called(added: AddedImages) -> str:
    return f"{selection_text(added.augmentation, added.params)} at rate {added.rate:g}"


def plan_source(context: Context, choices: Sequence[SourceAugmentation]) -> PlannedSource:
    """What an entry's augmentations make of the training images; nothing is made yet.

    UsageError and its kin for what can't be made.
    """
    plugins, added = [], []
    for choice in choices:
        plugin = make_augmentation(choice, context.registry)
        plugin.check(context.augmentation_task(choice.rate))
        plugins.append(plugin)
        added.append(
            AddedImages(
                augmentation=choice.name,
                params=choice.params,
                rate=choice.rate,
                plugin=origin_of(context.registry.get("augmentations", choice.name)),
            )
        )
    return PlannedSource(context, tuple(plugins), tuple(added))
