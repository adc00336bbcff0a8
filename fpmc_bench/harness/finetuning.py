"""Fine-tuning a suite's entry at all noise levels: each a unit of work that one process takes.

A finished level is a file named by the content of all that it depends on, like the units of a run:
a killed fine-tuning goes on where it was, and levels that a changed command leaves as they were are
not made again.
"""

from dataclasses import asdict, dataclass, replace
from functools import cached_property, partial
from pathlib import Path
from typing import Any

import torch
from pydantic import ValidationError
from torch import Tensor

from fpmc_bench.catalog.built import BuiltDenoiser
from fpmc_bench.catalog.context import Context
from fpmc_bench.contracts import FPMCDenoiser
from fpmc_bench.errors import ParameterError, RunError, UsageError
from fpmc_bench.finetune.checkpoint import load_descent, save_descent
from fpmc_bench.finetune.descent import Descent
from fpmc_bench.finetune.problem import LevelProblem, validation_batch, validation_images
from fpmc_bench.finetune.relaxation import relaxation_of
from fpmc_bench.finetune.settings import FinetuneSettings
from fpmc_bench.finetune.weights import (
    FinetuneCard,
    FinetunedWeights,
    LevelCard,
    finished_level,
    joined,
)
from fpmc_bench.harness.cluster.exchange import Exchange, kept_state
from fpmc_bench.harness.plan import Contestant, Plan
from fpmc_bench.harness.progress import Progress
from fpmc_bench.harness.queue import Task
from fpmc_bench.results.study_points import change_percent
from fpmc_bench.storage.cache import cached_tensors
from fpmc_bench.storage.kept import keep_tensors, kept_tensors
from fpmc_bench.storage.keys import content_key

VERSION = 2
"""Raised whenever the same plan would give other weights."""


@dataclass(frozen=True, eq=False)
class Finetuning:
    """`base`, of a loaded suite, to be fine-tuned; unfinished work lies in `folder`.

    Raises UsageError for a base that is no FPMC, ParameterError for settings that don't fit it or
    the images.
    """

    plan: Plan
    base: Contestant
    settings: FinetuneSettings
    folder: Path
    budget_bytes: int
    learned: frozenset[int] | None = None
    """Levels that anybody is going to measure: others stay as the base has them. None: all."""

    def __post_init__(self) -> None:
        """Refuse, before any work, what can't be fine-tuned."""
        if not isinstance(self.base.denoiser, FPMCDenoiser):
            raise UsageError(
                f"'{self.base.name}' is no filtered posterior mean collection, so it has no "
                f"precisions and responses to fine-tune"
            )
        images = len(self._context.dataset.train)
        if self.settings.leave_batch_out and self.settings.batch >= images:
            raise ParameterError(
                f"a batch of {self.settings.batch} leaves nothing of {images} training images to "
                f"compare with; lower batch"
            )
        if "sensitivity" not in self.base.needs:  # whose maps may be hours of work
            # free vectors are refused or not for what a base is at every noise level
            for level in self.levels if self.settings.kernels == "shared" else range(1):
                self._refuse_rigid(level)

    @property
    def levels(self) -> range:
        return range(len(self._context.sigmas))

    def tasks(self, progress: Progress) -> list[Task]:
        """Its levels, of which those that are there already are left alone."""
        return [
            Task(
                f"{self.base.name} at sigma {sigma:.3g}",
                partial(self.finished, level),
                partial(self._run_level, level, progress),
            )
            for level, sigma in enumerate(self._context.sigmas)
        ]

    def bring(self, exchange: Exchange) -> None:
        """Send finished levels to the main process, from folders that it does not see."""
        names = [self._file(level).name for level in self.levels]
        exchange.bring(names, kept_state(self.folder), everywhere=False)

    def bring_unfinished(self, exchange: Exchange) -> None:
        """Send what a level goes on from to wherever it may be gone on with."""
        names = [_checkpoint(self._file(level)).name for level in self.levels]
        exchange.bring(names, kept_state(self.folder), everywhere=True)

    def forget_unfinished(self) -> None:
        """All levels are finished, wherever they were gone on with."""
        for level in self.levels:
            _checkpoint(self._file(level)).unlink(missing_ok=True)

    def let_go(self) -> None:
        """Of the collections of noise levels it has been at, which are made again if need be."""
        for name in ("_built", "_plain"):
            vars(self).pop(name, None)

    def finished(self, level: int) -> bool:
        """Whether the level is there, and whole."""
        return self._read(level) is not None

    def collected(self) -> FinetunedWeights:
        """All levels in one. RunError where one is missing or damaged."""
        found = []
        for level in self.levels:
            one = self._read(level)
            if one is None:
                raise RunError(f"noise level {level} vanished from {self.folder}")
            found.append(one)
        return joined(self._card(), found)

    @property
    def expected(self) -> FinetuneCard:
        """The card of what this is going to make, its levels before their first step."""
        levels = [{"sigma": sigma, "curve": [(0, None, 0)]} for sigma in self._context.sigmas]
        return FinetuneCard.model_validate({**self._card(), "levels": levels})

    @property
    def facts(self) -> dict[str, Any]:
        """All that the weights depend on, as plain data."""
        return {
            "settings": asdict(self.settings),
            "card": {k: v for k, v in self._card().items() if k not in ("dataset", "plan")},
            "sigmas": self._context.sigmas,
            "source": self.base.source.recipe.model_dump(mode="json"),
        }

    def _read(self, level: int) -> tuple[LevelCard, dict[str, Tensor]] | None:
        """A finished level; None where there is no whole one, which is then made (again)."""
        kept = kept_tensors(self._file(level))
        try:
            return kept and (LevelCard.model_validate(kept[1]), kept[0])
        except ValidationError:  # whole, but of another version of fpmc_bench
            return None

    def _learns(self, level: int) -> bool:
        return self.learned is None or level in self.learned

    def _settings(self, level: int) -> FinetuneSettings:
        return self.settings if self._learns(level) else replace(self.settings, steps=0)

    def _run_level(self, level: int, progress: Progress) -> None:
        descent = self._descent(level)
        checkpoint = _checkpoint(self._file(level))
        if not load_descent(checkpoint, descent):
            descent.start()
        progress.says(_standing(descent))
        while not descent.finished:
            descent.advance()
            save_descent(checkpoint, descent)
            progress.says(_standing(descent))
        card, tensors = finished_level(descent, learned=self._learns(level))
        keep_tensors(self._file(level), tensors, card.model_dump(mode="json"))
        checkpoint.unlink(missing_ok=True)

    def _descent(self, level: int) -> Descent:
        context, built = self._context, self._built
        sigma, device = context.sigmas[level], context.device
        problem = LevelProblem(built.source, context.tuning, sigma, level, device)
        clean = self._validation_images.to(device)
        return Descent(
            problem,
            built.fpmc(sigma),
            self._settings(level),
            validation_batch(problem, clean, self.settings.seed),
            self.budget_bytes,
        )

    def _refuse_rigid(self, level: int) -> None:
        """ParameterError where the base at a noise level can't be relaxed as is asked."""
        sigma = self._context.sigmas[level]
        try:
            relaxation_of(self._plain.fpmc(sigma), self.settings, sigma)
        except ParameterError as error:
            raise ParameterError(f"'{self.base.name}' at sigma {sigma:.3g}: {error}") from error

    @property
    def _context(self) -> Context:
        return self.plan.context

    @cached_property
    def _built(self) -> BuiltDenoiser:
        return self.plan.built(self.base)

    @cached_property
    def _plain(self) -> BuiltDenoiser:
        """Over the training images alone, which can be looked at before any image is made."""
        return self.plan.built(self.base.over_plain_images())

    @cached_property
    def _validation_images(self) -> Tensor:
        context, settings = self._context, self.settings
        key = {
            "teacher": context.tuning.fingerprint,
            "shape": list(context.dataset.shape),
            "sigmas": list(context.sigmas),
            "items": settings.validation_items,
            "seed": settings.seed,
            "device": torch.device(context.device).type,
            "version": VERSION,
        }

        def compute() -> dict[str, Tensor]:
            return {
                "images": validation_images(
                    context.tuning,
                    context.dataset.shape,
                    context.sigmas,
                    settings.validation_items,
                    settings.seed,
                    context.device,
                )
            }

        return cached_tensors("finetune-validation", key, compute)["images"]

    def _file(self, level: int) -> Path:
        content = {
            **self.facts,
            "settings": asdict(self._settings(level)),
            "level": level,
            "learned": self._learns(level),
        }
        return self.folder / f"level-{level:02}-{content_key(content)}.safetensors"

    def _card(self) -> dict[str, Any]:
        """All of the joined file's card but the levels."""
        entry, context = self.base.entry, self._context
        dataset, suite = context.dataset, context.suite
        return {
            "base": entry.denoiser,
            "params": entry.params,
            "dataset": dataset.name,
            "source": dataset.train.fingerprint,
            "shape": tuple(dataset.shape),
            "augmentations": [one.model_dump() for one in entry.augmentations],
            "teacher": context.tuning.name,
            "teacher_fingerprint": context.tuning.fingerprint,
            "plan": asdict(self.settings),
            "circumstances": {
                "seed of the suite": suite.seed,
                "sensitivity maps": suite.sensitivity.model_dump(),
                "code": self.base.origin.code,
                "files": self.base.files,
                "device": torch.device(context.device).type,
                "version": VERSION,
            },
        }


def _checkpoint(file: Path) -> Path:
    """Beside the file of a finished level."""
    return file.with_suffix(".checkpoint")


def _standing(descent: Descent) -> str:
    """Where a descent is, after its last measurement."""
    sigma, points = descent.problem.sigma, descent.curve
    change = change_percent(points[0].error, descent.best_error)
    loss = points[-1].loss
    shown = "" if loss is None else f", loss {loss:.5f}"
    return f"sigma {sigma:.3g}: step {descent.step}{shown}, error {change:+z.1f}%"
