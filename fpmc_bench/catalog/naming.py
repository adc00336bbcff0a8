"""Everything that a suite names, checked as far as that takes no loading: before all else."""

from fpmc_bench.catalog.parameters import checked_params, make_plugin
from fpmc_bench.catalog.places import Places
from fpmc_bench.catalog.registry import Registry
from fpmc_bench.catalog.teachers import registered_teacher
from fpmc_bench.contracts import Augmentation
from fpmc_bench.documents.suite import SourceAugmentation, Suite
from fpmc_bench.errors import ParameterError
from fpmc_bench.teachers.given import is_function, is_path
from fpmc_bench.teachers.labels import without_label


def check_shared(
    suite: Suite, teachers: tuple[str, ...], registry: Registry, places: Places
) -> None:
    """UnknownNameError for what nobody offers, ParameterError for what it does not take.

    Of the dataset with its parameters, of `teachers` in their roles, and of the names of `places`.
    """
    places.refuse_unknown(registry)
    make_plugin(registry.get("datasets", suite.dataset.name).item, suite.dataset.params)
    for name in teachers:
        if not (is_path(name) or is_function(name)):
            registered_teacher(without_label(name), registry)


def check_entries(
    suite: Suite, registry: Registry, places: Places, *, complete: bool = True
) -> None:
    """The same of every entry's denoiser and augmentations, with their parameters.

    Not `complete`: those that are required may yet be chosen.
    """
    check = make_plugin if complete else checked_params
    for entry in suite.entries:
        check(registry.get("denoisers", entry.denoiser).item, entry.params, places)
        for choice in entry.augmentations:
            make_augmentation(choice, registry)


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
