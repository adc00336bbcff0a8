"""A training from its start to its teacher file: what is written on the way, as it falls due.

Everything is computed by all processes alike or by the main one alone, which alone writes; the
others wait for it in the sum of the next step.
"""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path

from fpmc_bench.fpmc.source import Source
from fpmc_bench.teachers.files.teacher_file import export_teacher
from fpmc_bench.teachers.quality import held_out_errors
from fpmc_bench.teachers.training.files import TrainingFiles
from fpmc_bench.teachers.training.log import (
    HeldOutError,
    LogLine,
    append_line,
    draw_log,
    rewind_log,
)
from fpmc_bench.teachers.training.samples import as_denoiser, write_training_samples
from fpmc_bench.teachers.training.trainer import Trainer

Progress = Callable[[int, float], None]
"""Told the steps done and the loss of the last."""


@dataclass(frozen=True)
class Habits:
    """Steps between a session's writings; 0 is never. None of them changes a weight."""

    checkpoint_every: int = 500
    log_every: int = 100
    held_out_every: int = 0
    grid_every: int = 0


@dataclass
class _Window:
    """What has come together since the last line of the log."""

    losses: float = 0.0
    steps: int = 0
    timed_steps: int = 0
    """Less than `steps` where the training was interrupted: the time before that is unknown."""
    seconds: float = 0.0

    def add(self, loss: float, seconds: float) -> None:
        self.losses += loss
        self.steps += 1
        self.timed_steps += 1
        self.seconds += seconds


@dataclass
class Session:
    """One training from where it stands to its last step.

    `test` are the dataset's test images, held out from every step; None where it has none.
    """

    trainer: Trainer
    files: TrainingFiles
    habits: Habits
    test: Source | None = None
    _window: _Window = field(default_factory=_Window)

    @property
    def is_main(self) -> bool:
        return self.trainer.team.rank == 0

    @contextmanager
    def opened(self) -> Iterator[int]:
        """Hold the files and go on from their checkpoint, if there is one; gives the steps done.

        RunError where another training holds them, or their log is something else;
        CheckpointError where the checkpoint is of another training, or damaged.
        """
        with self.files.locked() if self.is_main else nullcontext():
            if self.files.checkpoint.exists():
                notes = self.trainer.load(self.files.checkpoint)
                self._window.losses = notes.get("losses", 0.0)
                self._window.steps = notes.get("loss_steps", 0)
            if self.is_main:
                rewind_log(self.files.log, self.trainer.step)
            yield self.trainer.step

    def run(self, progress: Progress) -> None:
        """Train to the last step. ParameterError where the loss stops being finite."""
        started = time.perf_counter()
        for step, loss in self.trainer.run():
            self._window.add(loss, time.perf_counter() - started)
            progress(step, loss)
            if self.is_main:
                self._write_what_is_due(step)
            started = time.perf_counter()

    def finish(self, dataset: str) -> tuple[Path, ...]:
        """Write the teacher and the figure of its log, and remove the checkpoint.

        Returns what is there then, the teacher first; no figure of a log with a single line.
        CheckpointError where a weight does not fit float16: the network diverged.
        """
        trainer, files = self.trainer, self.files
        export_teacher(
            files.teacher,
            trainer.average.state_dict(),
            trainer.config,
            trainer.settings,
            dataset,
            trainer.source.fingerprint,
            trainer.step,
        )
        written = [files.teacher]
        if files.log.is_file():
            title = f"{files.teacher.stem}: {trainer.config.architecture} on {dataset}"
            drawn = draw_log(files.log, files.curve, title, trainer.settings.batch)
            written += [files.log, files.curve] if drawn else [files.log]
        files.checkpoint.unlink(missing_ok=True)
        return tuple(written)

    def _write_what_is_due(self, step: int) -> None:
        last = step == self.trainer.settings.steps

        def due(every: int) -> bool:
            return every > 0 and (step % every == 0 or last)

        held_out: tuple[HeldOutError, ...] = ()
        if due(self.habits.held_out_every) and self.test is not None:
            held_out = self._held_out(self.test)
        if held_out or due(self.habits.log_every):
            append_line(self.files.log, self._line(step, held_out))
            self._window = _Window()
        if due(self.habits.grid_every) and self.trainer.config.channels in (1, 3):
            write_training_samples(
                self.files.grid(step),
                self.trainer.average,
                self.trainer.source,
                self.trainer.device,
            )
        # last of all: what is due at a step is written again where its checkpoint is lacking
        if due(self.habits.checkpoint_every) or last:
            notes = {"losses": self._window.losses, "loss_steps": self._window.steps}
            self.trainer.save(self.files.checkpoint, notes)

    def _held_out(self, test: Source) -> tuple[HeldOutError, ...]:
        denoise = as_denoiser(self.trainer.average)
        errors = held_out_errors(denoise, test, device=str(self.trainer.device))
        return tuple(HeldOutError(sigma=sigma, mse=mse) for sigma, mse in errors.items())

    def _line(self, step: int, held_out: tuple[HeldOutError, ...]) -> LogLine:
        settings, window = self.trainer.settings, self._window
        pace = window.timed_steps * settings.batch / window.seconds if window.seconds else 0.0
        return LogLine(
            step=step,
            images=step * settings.batch,
            loss=window.losses / window.steps,
            learning_rate=settings.learning_rate_at(step - 1),
            images_per_second=round(pace, 2),
            held_out=held_out,
        )
