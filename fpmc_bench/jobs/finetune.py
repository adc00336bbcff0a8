"""finetune: the precisions and responses of a suite's entry learned, at every noise level."""

from contextlib import nullcontext
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from fpmc_bench.catalog.places import Places
from fpmc_bench.catalog.registry import Registry
from fpmc_bench.documents.suite import Suite
from fpmc_bench.engine import DEFAULT_BUDGET_BYTES, EngineSettings, using
from fpmc_bench.errors import ParameterError
from fpmc_bench.finetune.settings import FinetuneSettings
from fpmc_bench.finetune.weights import FinetuneCard
from fpmc_bench.finetune.weights_file import refuse_other_weights
from fpmc_bench.harness.cluster.agreement import entered_together, refuse_unlike
from fpmc_bench.harness.cluster.exchange import Exchange
from fpmc_bench.harness.cluster.islands import islands_of
from fpmc_bench.harness.cluster.processes import join_processes
from fpmc_bench.harness.finetuning import Finetuning
from fpmc_bench.harness.plan import make_plan
from fpmc_bench.harness.progress import Progress
from fpmc_bench.harness.queue import carry_out
from fpmc_bench.results.render.optional import drew
from fpmc_bench.storage.atomic import write_atomically
from fpmc_bench.storage.folders import locked, refuse_unwritable


@dataclass(frozen=True)
class FinetuneOutcome:
    """What a fine-tuning leaves: its weights and their card, and a figure of how errors fell.

    The figure is None where it could not be drawn.
    """

    weights: Path
    figure: Path | None
    card: FinetuneCard


def default_weights_path(suite: Suite, settings: FinetuneSettings) -> Path:
    """SUITE-BASE-AXES.safetensors, of a suite with the one entry that is fine-tuned."""
    name = f"{suite.name}-{suite.entries[0].name}-{''.join(settings.axes)}"
    shared = "-shared" if settings.kernels == "shared" else ""
    return Path(f"{name}{shared}.safetensors")


def finetune_entry(
    suite: Suite,
    settings: FinetuneSettings,
    target: Path,
    registry: Registry,
    *,
    device: str = "auto",
    memory_budget: int = DEFAULT_BUDGET_BYTES,
    places: Places | None = None,
    progress: bool = True,
) -> FinetuneOutcome | None:
    """Fine-tune the one entry of `suite`; go on where an earlier call was interrupted.

    None in processes that are not the main one. UsageError and its kin, before any work, for what
    can't be fine-tuned, and where `target` or its figure would replace something else; RunError
    where another fine-tuning works there.
    """
    refuse_unwritable(target.parent, "--out")
    processes = join_processes(device)
    plan = make_plan(suite, registry, processes.device, places).whole()
    unfinished = target.with_suffix(".finetuning")
    job = Finetuning(plan, plan.contestants[0], settings, unfinished, memory_budget)
    _refuse_others(target, job)
    (islands,) = islands_of(processes, unfinished)
    exchange = Exchange(processes, islands, unfinished)
    hold = locked(unfinished, "fine-tuning", "--out") if islands.leads else nullcontext()
    with entered_together(processes, hold):
        refuse_unlike(processes, job.facts)
        islands.tell(unfinished)
        name, bring = plan.contestants[0].name, partial(job.bring, exchange)
        with (
            using(EngineSettings(memory_budget)),
            Progress(processes, progress, "fine-tuning", name, unfinished) as told,
        ):
            job.bring_unfinished(exchange)
            carry_out("noise levels", job.tasks(told), processes, told, bring, unit="noise level")
            if islands.leads:
                job.forget_unfinished()
            outcome = _finish(job, target) if processes.is_main else None
            processes.wait()
    return outcome


def _refuse_others(target: Path, job: Finetuning) -> None:
    """ParameterError where the weights or their figure would replace something else."""
    refuse_other_weights(target, job.expected)
    figure = target.with_suffix(".png")
    if figure.exists() and not target.exists() and not job.folder.exists():
        raise ParameterError(
            f"{figure}, where the figure goes, is there already, without weights beside it; move "
            f"it away, or choose another --out"
        )


def _finish(job: Finetuning, target: Path) -> FinetuneOutcome:
    weights = job.collected()
    weights.save(target)
    figure, card = target.with_suffix(".png"), weights.card
    curves = {level.sigma: [(p.step, p.error) for p in level.curve] for level in card.levels}
    title = f"{target.stem}: {card.base} on {card.dataset}, {','.join(job.settings.axes)} learned"

    def draw(path: Path) -> None:
        from fpmc_bench.results.render.finetune_curve import draw_finetune_curves

        write_atomically(path, draw_finetune_curves(title, curves))

    return FinetuneOutcome(target, figure if drew(figure, draw) else None, card)
