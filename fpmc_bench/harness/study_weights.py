"""The weights that rows of a study need, each fine-tuned in a folder that all of them share."""

import traceback
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

from fpmc_bench.catalog.study_rows import PlannedRow
from fpmc_bench.engine import EngineSettings, using
from fpmc_bench.errors import DiskError, FpmcBenchError
from fpmc_bench.harness.cluster.blackbox import BlackBox
from fpmc_bench.harness.cluster.endings import Watched
from fpmc_bench.harness.cluster.exchange import Exchange, content_state
from fpmc_bench.harness.finetuning import Finetuning
from fpmc_bench.harness.ledger import Ledger
from fpmc_bench.harness.plan import Plan
from fpmc_bench.harness.progress import Progress
from fpmc_bench.harness.queue import Task, carry_out

LEVELS = "levels"
"""The folder of noise levels, beside the weights."""


def weights_path(folder: Path, row: str) -> Path:
    """Where a row's weights go."""
    return folder / f"{row}.safetensors"


def finetunings(
    rows: Sequence[PlannedRow], plan: Plan, folder: Path, memory_budget: int
) -> tuple[dict[str, Finetuning], dict[str, str]]:
    """What is to be fine-tuned, by row; and the rows whose base raises, with a traceback.

    UsageError and its kin for what can't be fine-tuned. Levels that nobody measures are left.
    """
    learned = _measured_levels(plan)
    jobs: dict[str, Finetuning] = {}
    failures: dict[str, str] = {}
    for planned in rows:
        name, base = planned.row.name, planned.base.name
        if planned.settings is None:
            continue
        try:
            jobs[name] = Finetuning(
                plan,
                plan.contestant(base),
                planned.settings,
                folder / LEVELS,
                memory_budget,
                learned,
            )
        except FpmcBenchError:
            raise
        except Exception:  # whatever a stranger's denoiser raises is only its own
            failures[name] = traceback.format_exc()
    return jobs, failures


def _measured_levels(plan: Plan) -> frozenset[int]:
    """Noise levels that any of the suite's protocols looks at."""
    return frozenset().union(*(plan.levels(protocol) for protocol in plan.suite.protocols))


def learn(
    jobs: Mapping[str, Finetuning],
    ledger: Ledger,
    exchange: Exchange,
    memory_budget: int,
    told: Progress,
    watched: Watched,
) -> list[str]:
    """Fine-tune everything; which noise levels had to be stopped, as the main process knows.

    Weights lie in the folder of the `exchange` then, at every island. A job that raises, here or in
    another process, is noted in the ledger.
    """
    folder, processes, stopped = exchange.folder, exchange.processes, []
    box = replace(watched.box, limit_s=None)  # which is for what is measured

    levels = replace(exchange, folder=folder / LEVELS)

    def bring() -> None:
        for job in jobs.values():
            job.bring(levels)
        exchange.bring_failures(ledger)

    for job in jobs.values():
        job.bring_unfinished(levels)
    tasks = [task for name, job in jobs.items() for task in _guarded(name, job, ledger, told, box)]
    with using(EngineSettings(memory_budget)):
        carry_out("fine-tuning", tasks, processes, told, bring, unit="noise level")
    learned = {name: job for name, job in jobs.items() if not ledger.failed(name)}
    for name, job in learned.items():
        if exchange.islands.leads:
            job.forget_unfinished()
        if processes.is_main:
            weights = job.collected()
            weights.save(weights_path(folder, name))
            stopped += [f"{name}: {reason}" for reason in weights.card.stopped]
    processes.wait()
    names = [weights_path(folder, name).name for name in learned]
    exchange.bring(names, content_state(folder), everywhere=True)
    return stopped


def _guarded(
    name: str, job: Finetuning, ledger: Ledger, progress: Progress, box: BlackBox
) -> Iterator[Task]:
    """The levels of a job, which fails with any of them, alone."""
    rows = [f"{name}.{protocol}" for protocol in job.plan.suite.protocols]

    def done(task: Task) -> None:
        if ledger.failed(name):
            progress.dropped()
            return
        try:
            with box.at(rows, f"'{name}' was fine-tuned"):
                task.do()
        except DiskError:
            raise
        except Exception:
            ledger.fail(name, traceback.format_exc())
            progress.dropped()
        finally:
            job.let_go()  # there may be many jobs

    for task in job.tasks(progress):
        there = partial(_is_there, name, task, ledger)
        yield replace(task, name=f"{name}: {task.name}", there=there, do=partial(done, task))


def _is_there(name: str, task: Task, ledger: Ledger) -> bool:
    return ledger.failed(name) or task.there()
