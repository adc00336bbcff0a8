"""Augmentations: what they add to a source, as a suite's entries ask for it."""

from collections.abc import Sequence
from dataclasses import replace

from fpmc_bench.catalog.parameters import make_plugin
from fpmc_bench.catalog.registry import Registry
from fpmc_bench.contracts import Augmentation, AugmentationTask
from fpmc_bench.documents.suite import SourceAugmentation
from fpmc_bench.errors import ParameterError
from fpmc_bench.fpmc.source import Source
from fpmc_bench.fpmc.union import Union


def make_augmentation(choice: SourceAugmentation, registry: Registry) -> Augmentation:
    """The plugin that is named, with parameters and rate checked; ParameterError and its kin."""
    cls = registry.get("augmentations", choice.name).item
    plugin: Augmentation = make_plugin(cls, choice.params)
    if choice.rate > plugin.max_rate:
        raise ParameterError(
            f"{choice.name}: it can add {plugin.max_rate:g} images per image, so "
            f"rate <= {plugin.max_rate:g}, got {choice.rate:g}"
        )
    return plugin


def augmented(
    blank: AugmentationTask, augmentations: Sequence[SourceAugmentation], registry: Registry
) -> Source:
    """The union of a task's source with what each augmentation adds to it, at its own rate."""
    parts = [blank.source]
    for choice in augmentations:
        plugin = make_augmentation(choice, registry)
        parts.append(plugin.augment(replace(blank, rate=choice.rate)))
    if len(parts) == 1:
        return blank.source
    if len({(part.dtype, part.scale) for part in parts}) > 1:
        parts = [
            Source(part.values(), part.log_weights, made_from=part.rows_in(blank.source))
            for part in parts
        ]
    return Union(parts, blank.source)
