"""The weights that rows of a study need, each fine-tuned in a folder that all of them share."""

import traceback
from collections.abc import Sequence
from pathlib import Path

from tqdm.auto import tqdm

from fpmc_bench.catalog.study_rows import PlannedRow
from fpmc_bench.engine import EngineSettings, using
from fpmc_bench.errors import DiskError, FpmcBenchError
from fpmc_bench.finetune.descent import Descent
from fpmc_bench.harness.finetuning import Finetuning
from fpmc_bench.harness.ledger import Ledger
from fpmc_bench.harness.plan import Plan
from fpmc_bench.harness.processes import Processes


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
                folder / "levels",
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
    jobs: dict[str, Finetuning],
    folder: Path,
    ledger: Ledger,
    processes: Processes,
    memory_budget: int,
    progress: bool,
) -> list[str]:
    """Fine-tune everything; which noise levels had to be stopped, as the main process knows.

    A job that raises, here or in another process, is noted in the ledger. Jobs are taken out of
    `jobs` one by one, for each keeps the collections of all its noise levels.
    """
    stopped = []
    for name in [name for name in jobs if not ledger.failed(name)]:
        job = jobs.pop(name)
        try:
            with using(EngineSettings(memory_budget)):
                _descend(name, job, processes, progress)
        except DiskError:
            raise
        except Exception:
            ledger.fail(name, traceback.format_exc())
        processes.wait()
        if processes.is_main and not ledger.failed(name):
            weights = job.collected()
            weights.save(weights_path(folder, name))
            stopped += [f"{name}: {reason}" for reason in weights.card.stopped]
    processes.wait()
    return stopped


def _descend(name: str, job: Finetuning, processes: Processes, progress: bool) -> None:
    """This process's levels, with a bar."""
    mine = list(processes.share(len(job.levels)))
    hidden = not (progress and processes.is_main)
    label = f"fine-tuning {name}"
    with tqdm(total=len(mine), desc=label, unit="level", disable=hidden, leave=False) as bar:
        bar.update(sum(job.finished(level) for level in mine))

        def advanced(_: int, descent: Descent) -> None:
            bar.update(int(descent.finished))

        job.run(processes, advanced)
