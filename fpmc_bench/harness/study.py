"""A study carried out: fine-tune what its rows need, then run them as a suite of their own.

Both halves are kept by the content of what they depend on, so a killed study goes on where it was.

weights/   fine-tuned weights, a file a row, and their unfinished levels
run/       a run directory like any other
"""

import traceback
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tqdm import tqdm

from fpmc_bench.engine import EngineSettings, using
from fpmc_bench.errors import FpmcBenchError, RunError
from fpmc_bench.finetune.descent import Descent
from fpmc_bench.harness.finetuning import Finetuning
from fpmc_bench.harness.ledger import Ledger
from fpmc_bench.harness.planning import make_plan
from fpmc_bench.harness.processes import Processes, join_processes
from fpmc_bench.harness.run import RunOutcome, run_suite
from fpmc_bench.harness.study_rows import PlannedRow, measured_suite, planned_rows
from fpmc_bench.places import Places
from fpmc_bench.registry import Registry
from fpmc_bench.study import Study, StudyRow
from fpmc_bench.suite import Entry, Suite


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

        UsageError and its kin, before any work, for what can't be done. A row that raises later
        fails alone, on every process; RunError where that leaves none.
        """
        rows = planned_rows(self.study, self.suite, self.registry, self.bases, self.changes)
        processes = join_processes(self.device)
        if processes.is_main:
            self._ledger.forget_failures()
        processes.wait()
        stopped = self._learn(rows, processes)
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

    @property
    def _ledger(self) -> Ledger:
        """Of rows that could not be fine-tuned."""
        return Ledger(self.folder / "weights")

    def _measured(self, entries: Sequence[Entry]) -> Suite:
        suite = measured_suite(self.study, self.suite)
        return suite.replaced(entries=[entry.model_dump() for entry in entries])

    def _weights(self, row: StudyRow) -> Path:
        return self.folder / "weights" / f"{row.name}.safetensors"

    def _entry(self, planned: PlannedRow) -> Entry:
        row, base = planned.row, planned.base
        changes: dict[str, Any] = {
            "name": row.name,
            "augmentations": (*base.augmentations, *row.augmentations),
        }
        if planned.settings is not None:
            changes |= {"denoiser": "finetuned", "params": {"weights": str(self._weights(row))}}
        return base.model_copy(update=changes)

    def _learn(self, rows: Sequence[PlannedRow], processes: Processes) -> list[str]:
        """Weights of all rows that need some; which noise levels of them had to be stopped."""
        jobs, stopped = self._jobs(rows, processes), []
        processes.wait()  # until everyone sees the same failures
        learned = [planned.row for planned in rows if planned.settings is not None]
        for row in [row for row in learned if not self._ledger.failed(row.name)]:
            job = jobs.pop(row.name)  # which keeps the collections of all its noise levels
            with self._failing_alone(row.name):
                self._descend(row.name, job, processes)
            processes.wait()
            if processes.is_main and not self._ledger.failed(row.name):
                weights = job.collected()
                weights.save(self._weights(row))
                stopped += [f"{row.name}: {reason}" for reason in weights.card.stopped]
        processes.wait()
        return stopped

    def _jobs(self, rows: Sequence[PlannedRow], processes: Processes) -> dict[str, Finetuning]:
        """Everything that is to be fine-tuned, by row; all rows' bases are checked on the way."""
        bases = {one.base.name: one.base for one in rows}
        plain = [base.model_copy(update={"augmentations": ()}) for base in bases.values()]
        plan = make_plan(self._measured(plain), self.registry, processes.device, self.places)
        contestants = {contestant.name: contestant for contestant in plan.contestants}
        jobs: dict[str, Finetuning] = {}
        for planned in rows:
            if planned.settings is None:
                continue
            with self._failing_alone(planned.row.name, but=FpmcBenchError):
                jobs[planned.row.name] = Finetuning(
                    plan,
                    contestants[planned.base.name],
                    planned.settings,
                    self.folder / "weights" / "levels",
                    self.memory_budget,
                )
        return jobs

    @contextmanager
    def _failing_alone(self, name: str, but: type[Exception] | None = None) -> Iterator[None]:
        """Note what a stranger's denoiser raises as a failure of its row, and go on."""
        try:
            yield
        except Exception as error:
            if but is not None and isinstance(error, but):
                raise
            self._ledger.fail(name, traceback.format_exc())

    def _descend(self, name: str, job: Finetuning, processes: Processes) -> None:
        """This process's levels, with a bar."""
        mine = list(processes.share(len(job.levels)))
        hidden = not (self.progress and processes.is_main)
        with (
            using(EngineSettings(self.memory_budget)),
            tqdm(
                total=len(mine),
                desc=f"fine-tuning {name}",
                unit="level",
                disable=hidden,
                leave=False,
            ) as bar,
        ):
            bar.update(sum(job.finished(level) for level in mine))

            def progress(_: int, descent: Descent) -> None:
                bar.update(int(descent.finished))

            job.run(processes, progress)
