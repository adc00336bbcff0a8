"""study: fine-tune what the rows of a study need, then measure them as a suite of their own.

Both halves are kept by the content of what they depend on, so a killed study goes on where it was.

study.json  what the folder is for
weights/    fine-tuned weights, a file a row, and their unfinished levels
run/        a run directory like any other
"""

import json
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from pydantic_core import to_json

from fpmc_bench.catalog.entries import named_selections
from fpmc_bench.catalog.places import Places
from fpmc_bench.catalog.registry import Registry
from fpmc_bench.catalog.study_rows import PlannedRow, measured_suite, planned_rows
from fpmc_bench.documents.record import read_record
from fpmc_bench.documents.study import Study, StudyRow
from fpmc_bench.documents.suite import Entry, Suite
from fpmc_bench.engine import DEFAULT_BUDGET_BYTES
from fpmc_bench.errors import RunError, UsageError
from fpmc_bench.harness.cluster.agreement import entered_together, refuse_unlike, refused_together
from fpmc_bench.harness.cluster.attempts import begins
from fpmc_bench.harness.cluster.endings import Watched, watched_by
from fpmc_bench.harness.cluster.exchange import Exchange
from fpmc_bench.harness.cluster.islands import islands_of
from fpmc_bench.harness.cluster.processes import Processes, join_processes
from fpmc_bench.harness.ledger import Ledger
from fpmc_bench.harness.plan import Plan, make_plan, plan_entries
from fpmc_bench.harness.progress import Progress
from fpmc_bench.harness.rundir import RunDirectory
from fpmc_bench.harness.study_weights import finetunings, learn, weights_path
from fpmc_bench.jobs.outcome import RunOutcome
from fpmc_bench.jobs.run import run_plan
from fpmc_bench.results.render.optional import drew
from fpmc_bench.results.render.study_views import VIEWS, Answer
from fpmc_bench.storage.atomic import write_atomically
from fpmc_bench.storage.folders import (
    differences,
    locked,
    manifest_bytes,
    read_manifest,
    refuse_unwritable,
)


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
    device: str = "auto"
    memory_budget: int = DEFAULT_BUDGET_BYTES
    places: Places = field(default_factory=Places)
    progress: bool = True
    bases: tuple[str, ...] = ()
    """In place of the study's own."""
    changes: Mapping[str, Any] = field(default_factory=dict)
    """Settings of the fine-tuning that replace the study's own."""
    unit_timeout_s: float | None = None
    """As of `run_suite`, where rows are measured; of fine-tuning there is none."""

    def run(self) -> StudyOutcome:
        """Everything that is not there yet. Images and networks are loaded once.

        UsageError and its kin, before any work, for what can't be done and for a folder that holds
        another study. A row that raises later fails alone, on every process; RunError where that
        leaves none.
        """
        refuse_unwritable(self.folder, "--out")
        study, bases_asked, places = self._without_paths()
        rows = planned_rows(study, self.suite, self.registry, bases_asked, self.changes)
        processes = join_processes(self.device)
        watched = watched_by(processes, self.unit_timeout_s)
        bases = self._plan_of_bases(rows, processes.device, places, watched)
        jobs, failures = finetunings(rows, bases, self._weights, self.memory_budget)
        (islands,) = islands_of(processes, self.folder)
        exchange = Exchange(processes, islands, self._weights)
        hold = locked(self.folder, "study", "--out") if islands.leads else nullcontext()
        with entered_together(processes, hold):
            manifest = self._manifest(rows, bases)
            refuse_unlike(processes, manifest)
            refuse_unlike(processes, {name: job.facts for name, job in jobs.items()})
            islands.tell(self.folder)
            with refused_together(processes):
                if islands.leads:
                    self._claim(manifest)
                    if begins(self.folder):
                        self._ledger.forget_failures()
            protocols = bases.suite.protocols
            for name in jobs:
                if reports := watched.all_failed([f"{name}.{one}" for one in protocols]):
                    failures[name] = reports[0]
            for name, report in failures.items():
                self._ledger.fail(name, report)
            processes.wait()  # until everyone sees the same failures
            with Progress(processes, self.progress, "fine-tuning", study.name, self.folder) as told:
                stopped = learn(jobs, self._ledger, exchange, self.memory_budget, told, watched)
            return self._measure(rows, bases, processes, stopped, watched)

    def _without_paths(self) -> tuple[Study, tuple[str, ...], Places]:
        """Study and bases with names for paths, and places that know these names."""
        texts = (*self.study.bases, *(row.base for row in self.study.rows), *self.bases)
        named, places = named_selections(self.suite, texts, self.registry, self.places)
        own, given = len(self.study.bases), len(self.study.bases) + len(self.study.rows)
        rows = [
            row.model_copy(update={"base": base})
            for row, base in zip(self.study.rows, named[own:given], strict=True)
        ]
        study = self.study.model_copy(update={"bases": named[:own], "rows": tuple(rows)})
        return study, named[given:], places

    def _plan_of_bases(
        self, rows: Sequence[PlannedRow], device: str, places: Places, watched: Watched
    ) -> Plan:
        """What the rows build upon, as the entries of a suite."""
        suite = measured_suite(self.study, self.suite)
        entries = {one.base.name: one.base.model_dump() for one in rows}
        suite = suite.replaced(entries=list(entries.values()))
        return make_plan(suite, self.registry, device, places, watched).whole()

    def _measure(
        self,
        rows: Sequence[PlannedRow],
        bases: Plan,
        processes: Processes,
        stopped: Sequence[str],
        watched: Watched,
    ) -> StudyOutcome:
        """Run all rows that have what they need."""
        failures = self._ledger.failures()
        measured = [one for one in rows if one.row.name not in failures]
        if not measured:
            raise RunError("\n".join(["every row failed:", *failures.values()]))
        entries = [self._entry(one, bases).model_dump() for one in measured]
        learned = {
            self._weights_name(one): str(weights_path(self._weights, one.row.name))
            for one in measured
            if one.settings is not None
        }
        places = replace(bases.context.places, weights={**bases.context.places.weights, **learned})
        context = replace(bases.context, suite=bases.suite.replaced(entries=entries), places=places)
        outcome = run_plan(
            plan_entries(context, watched),
            RunDirectory(self.folder / "run"),
            processes,
            progress=self.progress,
            memory_budget=self.memory_budget,
            failed=failures,
            watched=watched,
        )
        measuring = {
            stem: report
            for stem, report in outcome.failures.items()
            if stem.rpartition(".")[0] not in failures
        }
        return StudyOutcome(
            outcome,
            tuple(one.row for one in rows),
            tuple(stopped),
            {**failures, **measuring},
        )

    def answer(self, outcome: StudyOutcome) -> tuple[Answer, dict[str, Path]]:
        """Data and figure of the rows, written as CSV and PNG: the answer, and where these are.

        Without the figure where it can't be drawn.
        """
        run, name = outcome.run, self.study.name
        known = [
            read_record(run.directory / "records" / f"{record.stem}.json") for record in run.records
        ]
        title = f"{name} on {self.suite.name}, {self.suite.items} items"
        answer = VIEWS[self.study.view](title, outcome.rows, known)
        paths = {"data": self.folder / f"{name}.csv", "figure": self.folder / f"{name}.png"}
        write_atomically(paths["data"], answer.csv.encode())
        if not drew(paths["figure"], lambda path: write_atomically(path, answer.drawn())):
            del paths["figure"]
        return answer, paths

    def _manifest(self, rows: Sequence[PlannedRow], bases: Plan) -> dict[str, Any]:
        """All that the study's figures depend on."""
        suite, context = bases.suite, bases.context
        return {
            **suite.model_dump(mode="json", exclude={"description", "entries"}),
            "rows": {one.row.name: one.row.model_dump() for one in rows},
            "bases": {entry.name: entry.model_dump() for entry in suite.entries},
            "settings": {one.row.name: asdict(one.settings) for one in rows if one.settings},
            "training images": context.dataset.train.fingerprint,
            "tuning teacher": context.tuning.fingerprint,
        }

    def _claim(self, manifest: Mapping[str, Any]) -> None:
        """Note what the folder is for; UsageError where it is there for something else."""
        asked = json.loads(to_json(manifest, inf_nan_mode="strings"))
        path = self.folder / "study.json"
        there = read_manifest(path)
        if there and (changed := differences(there, asked)):
            raise UsageError(
                f"{self.folder} holds a study that was begun otherwise ({changed}); choose another "
                f"--out, or remove that folder"
            )
        write_atomically(path, manifest_bytes(asked))

    @property
    def _ledger(self) -> Ledger:
        """Of rows that could not be fine-tuned."""
        return Ledger(self._weights)

    @property
    def _weights(self) -> Path:
        return self.folder / "weights"

    def _weights_name(self, planned: PlannedRow) -> str:
        """What a row calls the weights that this study learned: nothing else is named so."""
        return f"{self.study.name}:{planned.row.name}"

    def _entry(self, planned: PlannedRow, bases: Plan) -> Entry:
        row, base = planned.row, bases.contestant(planned.base.name).entry
        changes: dict[str, Any] = {
            "name": row.name,
            "augmentations": (*base.augmentations, *row.augmentations),
        }
        if planned.settings is not None:
            changes |= {
                "denoiser": "finetuned",
                "params": {"weights": self._weights_name(planned)},
            }
        return base.model_copy(update=changes)
