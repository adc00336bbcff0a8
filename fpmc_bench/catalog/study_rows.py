"""The rows of a study on a suite, each checked as far as that takes no loading and no work."""

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from fpmc_bench.catalog.context import grid_of
from fpmc_bench.catalog.entries import select_entries
from fpmc_bench.catalog.naming import make_augmentation
from fpmc_bench.catalog.parameters import make_plugin
from fpmc_bench.catalog.registry import Registry
from fpmc_bench.documents.study import Study, StudyRow
from fpmc_bench.documents.suite import Entry, Suite
from fpmc_bench.errors import ParameterError, UnknownNameError, UsageError
from fpmc_bench.finetune.settings import FinetuneSettings


@dataclass(frozen=True)
class PlannedRow:
    """A row, the entry that its base is, and how it is fine-tuned; None: it is not."""

    row: StudyRow
    base: Entry
    settings: FinetuneSettings | None


def planned_rows(
    study: Study,
    suite: Suite,
    registry: Registry,
    bases: Collection[str] = (),
    changes: Mapping[str, Any] | None = None,
) -> tuple[PlannedRow, ...]:
    """All rows, in order. `bases` replace the study's own, `changes` its settings.

    UsageError and its kin for rows that the suite or the plugins can't fill.
    """
    changes = changes or {}
    entries = [entry.name for entry in suite.entries]
    rows = _with_bases(study, suite, registry, bases).all_rows(entries)
    planned = tuple(
        PlannedRow(
            row,
            _base(row, study, suite, registry),
            _settings(row, {**study.settings, **changes}) if row.axes else None,
        )
        for row in rows
        if study.view == "table" or _has_rates(row, registry)
    )
    names = [one.row.name for one in planned]
    for one in planned:
        if names.count(one.row.name) > 1:
            raise UsageError(
                f"study '{study.name}' has two rows '{one.row.name}' on suite '{suite.name}': "
                f"leave out one of their bases"
            )
        for choice in one.row.augmentations:
            make_augmentation(choice, registry)
    if not planned:
        raise UsageError(
            f"study '{study.name}' has no row that suite '{suite.name}' has the entries for; its "
            f"bases are {', '.join(study.bases)}"
        )
    if changes and not any(one.settings for one in planned):
        raise UsageError(
            f"study '{study.name}' fine-tunes nothing on suite '{suite.name}', so "
            f"{', '.join(changes)} would change nothing"
        )
    return planned


def measured_suite(study: Study, suite: Suite) -> Suite:
    """The suite with the study's protocols and noise levels."""
    changes: dict[str, Any] = {"protocols": study.protocols}
    if study.sigmas is not None:
        changes["levels"] = nearest_levels(suite, study.sigmas)
    return suite.replaced(**changes)


def nearest_levels(suite: Suite, sigmas: Sequence[float]) -> tuple[int, ...]:
    """Those of the suite's noise levels that are nearest to `sigmas`, in the order of the grid."""
    grid = grid_of(suite.sigmas)
    found = {
        min(range(len(grid)), key=lambda level: abs(math.log(grid[level]) - math.log(sigma)))
        for sigma in sigmas
    }
    return tuple(sorted(found))


def _with_bases(study: Study, suite: Suite, registry: Registry, bases: Collection[str]) -> Study:
    """The study with the bases asked for, or without those of its own that the suite has not."""
    if bases and study.view == "table":
        raise UsageError(
            f"study '{study.name}' has its rows written out: there are no bases to replace"
        )
    if bases:
        return study.replaced(bases=tuple(bases))
    entries = {entry.name for entry in suite.entries}
    known = {*entries, *registry.items["denoisers"]}
    for base in study.bases:
        if base.partition("[")[0] not in known:
            raise UnknownNameError("entry or denoiser", base, known)
    return study.for_entries(entries)


def _has_rates(row: StudyRow, registry: Registry) -> bool:
    """Of all combinations some are none: there is one reflection of an image."""
    return all(
        choice.rate <= registry.get("augmentations", choice.name).item.max_rate
        for choice in row.augmentations
    )


def _base(row: StudyRow, study: Study, suite: Suite, registry: Registry) -> Entry:
    base = select_entries(suite, (row.base,), registry).entries[0]
    try:
        make_plugin(registry.get("denoisers", base.denoiser).item, base.params)
    except ParameterError as error:
        raise ParameterError(
            f"row '{row.name}' of study '{study.name}' builds upon '{row.base}', which is no "
            f"complete entry on suite '{suite.name}': {error}; add the entry to the suite, or "
            f"write the base as NAME[param=value,...]"
        ) from error
    return base


def _settings(row: StudyRow, given: Mapping[str, Any]) -> FinetuneSettings:
    plan: FinetuneSettings = make_plugin(
        FinetuneSettings, {**given, "axes": row.axes, "kernels": row.kernels}
    )
    return plan
