"""A study carried out: fine-tune what its rows need, then run them as a suite of their own.

Both halves are kept by the content of what they depend on, so a killed study goes on where it was.

study.json  what the folder is for
weights/    fine-tuned weights, a file a row, and their unfinished levels
run/        a run directory like any other
"""

import json
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from pydantic_core import to_json

from fpmc_bench.catalog.places import Places
from fpmc_bench.catalog.registry import Registry
from fpmc_bench.catalog.study_rows import PlannedRow, measured_suite, planned_rows
from fpmc_bench.documents.study import Study, StudyRow
from fpmc_bench.documents.suite import Entry, Suite
from fpmc_bench.errors import RunError, UsageError
from fpmc_bench.harness.finetuning import Finetuning
from fpmc_bench.harness.ledger import Ledger
from fpmc_bench.harness.planning import make_plan
from fpmc_bench.harness.processes import join_processes
from fpmc_bench.harness.study_weights import finetunings, learn, weights_path
from fpmc_bench.jobs.run import RunOutcome, run_suite
from fpmc_bench.storage.atomic import write_atomically
from fpmc_bench.storage.folders import differences, locked


@dataclass(frozen=True)
class StudyOutcome:
    """What a study leaves: its run, all its rows in order, and what went wrong."""

    run: RunOutcome
    rows: tuple[StudyRow, ...]
    stopped: tuple[str, ...]
    """Noise levels that diverged; their rows go on with what was best until then."""
    failures: dict[str, str]
    """Row, or row and protocol -> traceback. A row that has no weights is not in the run."""


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
    bases: tuple[str, ...] = ()
    """In place of the study's own."""
    changes: Mapping[str, Any] = field(default_factory=dict)
    """Settings of the fine-tuning that replace the study's own."""

    def run(self) -> StudyOutcome:
        """Everything that is not there yet.

        UsageError and its kin, before any work, for what can't be done and for a folder that holds
        another study. A row that raises later fails alone, on every process; RunError where that
        leaves none.
        """
        rows = planned_rows(self.study, self.suite, self.registry, self.bases, self.changes)
        processes = join_processes(self.device)
        jobs, failures, manifest = self._prepare(rows, processes.device)
        with locked(self.folder, "study", "--out") if processes.is_main else nullcontext():
            if processes.is_main:
                self._claim(manifest)
                self._ledger.forget_failures()
            processes.wait()
            for name, report in failures.items():
                self._ledger.fail(name, report)
            processes.wait()  # until everyone sees the same failures
            stopped = learn(
                jobs, self._weights, self._ledger, processes, self.memory_budget, self.progress
            )
            return self._measure(rows, stopped)

    def _measure(self, rows: Sequence[PlannedRow], stopped: Sequence[str]) -> StudyOutcome:
        """Run all rows that have what they need."""
        failures = self._ledger.failures()
        entries = [self._entry(one) for one in rows if one.row.name not in failures]
        if not entries:
            raise RunError("\n".join(["every row failed:", *failures.values()]))
        outcome = run_suite(
            self._measured(entries),
            run_dir=self.folder / "run",
            device=self.device,
            progress=self.progress,
            memory_budget=self.memory_budget,
            places=self.places,
            registry=self.registry,
        )
        return StudyOutcome(
            outcome,
            tuple(one.row for one in rows),
            tuple(stopped),
            {**failures, **outcome.failures},
        )

    def _prepare(
        self, rows: Sequence[PlannedRow], device: str
    ) -> tuple[dict[str, Finetuning], dict[str, str], dict[str, Any]]:
        """What is to be fine-tuned, what can't be, and all that the study's figures depend on.

        Loads everything and checks all bases; sources are made only of what is fine-tuned.
        """
        learned = {one.base.name for one in rows if one.settings is not None}
        bases = {
            one.base.name: one.base
            if one.base.name in learned
            else one.base.model_copy(update={"augmentations": ()})
            for one in rows
        }
        suite = self._measured(list(bases.values()))
        plan = make_plan(suite, self.registry, device, self.places, failing_alone=True)
        jobs, failures = finetunings(rows, plan, self._weights, self.memory_budget)
        manifest = {
            **suite.model_dump(mode="json", exclude={"description", "entries"}),
            "rows": {one.row.name: one.row.model_dump() for one in rows},
            "bases": {one.base.name: one.base.model_dump() for one in rows},
            "settings": {one.row.name: asdict(one.settings) for one in rows if one.settings},
            "training images": plan.dataset.train.fingerprint,
            "tuning teacher": plan.tuning.fingerprint,
        }
        return jobs, failures, manifest

    def _claim(self, manifest: Mapping[str, Any]) -> None:
        """Note what the folder is for; UsageError where it is there for something else."""
        text = to_json(manifest, indent=2, inf_nan_mode="strings")
        path = self.folder / "study.json"
        there = json.loads(path.read_text()) if path.is_file() else {}
        if there and (changed := differences(there, json.loads(text))):
            raise UsageError(
                f"{self.folder} holds a study that was begun otherwise ({changed}); choose another "
                f"--out, or remove that folder"
            )
        write_atomically(path, text)

    @property
    def _ledger(self) -> Ledger:
        """Of rows that could not be fine-tuned."""
        return Ledger(self._weights)

    @property
    def _weights(self) -> Path:
        return self.folder / "weights"

    def _measured(self, entries: Sequence[Entry]) -> Suite:
        suite = measured_suite(self.study, self.suite)
        return suite.replaced(entries=[entry.model_dump() for entry in entries])

    def _entry(self, planned: PlannedRow) -> Entry:
        row, base = planned.row, planned.base
        changes: dict[str, Any] = {
            "name": row.name,
            "augmentations": (*base.augmentations, *row.augmentations),
        }
        if planned.settings is not None:
            changes |= {
                "denoiser": "finetuned",
                "params": {"weights": str(weights_path(self._weights, row.name))},
            }
        return base.model_copy(update=changes)
