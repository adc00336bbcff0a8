"""A study carried out: fine-tune what its rows need, then run them as a suite of their own.

Both halves are kept by the content of what they depend on, so a killed study goes on where it was.

weights/   fine-tuned weights, a file a row, and their unfinished levels
run/       a run directory like any other
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tqdm import tqdm

from fpmc_bench.diffusion.sigmas import sigma_grid
from fpmc_bench.engine import EngineSettings, using
from fpmc_bench.errors import RunError, UsageError
from fpmc_bench.finetune.descent import Descent
from fpmc_bench.finetune.plan import FinetunePlan
from fpmc_bench.harness.finetuning import Finetuning
from fpmc_bench.harness.planning import make_plan
from fpmc_bench.harness.processes import Processes, join_processes
from fpmc_bench.harness.run import RunOutcome, run_suite
from fpmc_bench.parameters import make_plugin
from fpmc_bench.places import Places
from fpmc_bench.registry import Registry
from fpmc_bench.selection import select_entries
from fpmc_bench.study import Study, StudyRow
from fpmc_bench.suite import Entry, Suite


@dataclass(frozen=True, eq=False)
class StudyJob:
    """A study on a suite: where it lives and what it may use."""

    study: Study
    suite: Suite
    folder: Path
    registry: Registry
    device: str
    memory_budget: int
    places: Places
    progress: bool
    changes: Mapping[str, Any]
    """Settings of the fine-tuning that replace the study's own."""

    def run(self) -> tuple[RunOutcome, tuple[StudyRow, ...]]:
        """Everything that is not there yet; the outcome of the run, and the rows in order.

        UsageError and its kin, before any work, for rows that the suite or the plugins can't fill.
        """
        rows = self._rows()
        settings = {row.name: self._settings(row) for row in rows if row.axes}
        processes = join_processes(self.device)
        measured = self._measured()
        for row in rows:
            if row.axes:
                self._finetune(row, settings[row.name], measured, processes)
        entries = [self._entry(row).model_dump() for row in rows]
        outcome = run_suite(
            measured.replaced(entries=entries),
            run_dir=self.folder / "run",
            device=self.device,
            progress=self.progress,
            memory_budget=self.memory_budget,
            places=self.places,
            registry=self.registry,
        )
        return outcome, rows

    def _rows(self) -> tuple[StudyRow, ...]:
        entries = tuple(entry.name for entry in self.suite.entries)
        rows = [row for row in self.study.all_rows(entries) if self._has_rate(row)]
        for row in rows:
            self._base(row)
            for choice in row.augmentations:
                make_plugin(self.registry.get("augmentations", choice.name).item, choice.params)
        if not rows:
            raise UsageError(
                f"study '{self.study.name}' has no row that suite '{self.suite.name}' has the "
                f"entries for; it asks for {', '.join(self.study.bases)}"
            )
        return tuple(rows)

    def _has_rate(self, row: StudyRow) -> bool:
        """Of a study of all combinations some are none: there is one reflection of an image."""
        largest = {
            choice.name: self.registry.get("augmentations", choice.name).item.max_rate
            for choice in row.augmentations
        }
        explicit = self.study.view == "table"
        return explicit or all(one.rate <= largest[one.name] for one in row.augmentations)

    def _base(self, row: StudyRow) -> Entry:
        return select_entries(self.suite, (row.base,), self.registry).entries[0]

    def _settings(self, row: StudyRow) -> FinetunePlan:
        given = {**self.study.settings, **self.changes}
        plan: FinetunePlan = make_plugin(
            FinetunePlan, {**given, "axes": row.axes, "kernels": row.kernels}
        )
        return plan

    def _measured(self) -> Suite:
        """The suite with the study's protocols and noise levels."""
        changes: dict[str, Any] = {"protocols": self.study.protocols}
        if self.study.sigmas is not None:
            changes["levels"] = nearest_levels(self.suite, self.study.sigmas)
        return self.suite.replaced(**changes)

    def _weights(self, row: StudyRow) -> Path:
        return self.folder / "weights" / f"{row.name}.safetensors"

    def _entry(self, row: StudyRow) -> Entry:
        base = self._base(row)
        augmentations = (*base.augmentations, *row.augmentations)
        if not row.axes:
            return base.model_copy(update={"name": row.name, "augmentations": augmentations})
        return Entry(
            name=row.name,
            denoiser="finetuned",
            params={"weights": str(self._weights(row))},
            augmentations=augmentations,
        )

    def _finetune(
        self, row: StudyRow, settings: FinetunePlan, measured: Suite, processes: Processes
    ) -> None:
        base = self._base(row).model_copy(update={"augmentations": ()})
        suite = measured.replaced(entries=[base.model_dump()])
        plan = make_plan(suite, self.registry, processes.device, self.places)
        job = Finetuning(plan, settings, self.folder / "weights" / "levels", self.memory_budget)
        visible = self.progress and processes.is_main
        mine = list(processes.share(len(job.levels)))
        with (
            using(EngineSettings(self.memory_budget)),
            tqdm(
                total=len(mine),
                desc=f"fine-tuning {row.name}",
                unit="level",
                disable=not visible,
                leave=False,
            ) as bar,
        ):
            bar.update(sum(job.finished(level) for level in mine))

            def progress(_: int, descent: Descent) -> None:
                bar.update(int(descent.finished))

            job.run(processes, progress)
        processes.wait()
        if processes.is_main:
            weights = job.collected()
            stopped = [level for level in weights.card.levels if level.stopped]
            if stopped:
                raise RunError(f"{row.name}: sigma {stopped[0].sigma:.3g}: {stopped[0].stopped}")
            weights.save(self._weights(row))
        processes.wait()


def nearest_levels(suite: Suite, sigmas: Sequence[float]) -> tuple[int, ...]:
    """Those of the suite's noise levels that are nearest to `sigmas`, in the order of the grid."""
    grid = suite.sigmas
    levels = sigma_grid(grid.steps, grid.smin, grid.smax, grid.rho).log().tolist()
    found = {
        min(range(len(levels)), key=lambda level: abs(levels[level] - math.log(sigma)))
        for sigma in sigmas
    }
    return tuple(sorted(found))
