"""Where a training writes: everything beside the teacher file that it is to make."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from fpmc_bench.errors import ParameterError
from fpmc_bench.storage.folders import locked, refuse_unwritable


@dataclass(frozen=True)
class TrainingFiles:
    """Of mine.safetensors:

    mine.checkpoint                what an unfinished training goes on from; removed at its end
    mine.training/log.jsonl        loss, held-out errors and pace (`training.log`)
    mine.training/loss.png         the log as a figure
    mine.training/samples-*.png    samples after so many steps
    """

    teacher: Path

    def __post_init__(self) -> None:
        """ParameterError where the teacher's file would not end in .safetensors."""
        if self.teacher.suffix != ".safetensors":
            raise ParameterError(f"--out must end in .safetensors, got {self.teacher}")

    @property
    def checkpoint(self) -> Path:
        return self.teacher.with_suffix(".checkpoint")

    @property
    def folder(self) -> Path:
        return self.teacher.with_suffix(".training")

    @property
    def log(self) -> Path:
        return self.folder / "log.jsonl"

    @property
    def curve(self) -> Path:
        return self.folder / "loss.png"

    def grid(self, step: int) -> Path:
        """The samples after `step` steps."""
        return self.folder / f"samples-{step:08}.png"

    def refuse_at_once(self) -> None:
        """ParameterError where there is a teacher already and nothing to go on from.

        UsageError where nothing can be written.
        """
        refuse_unwritable(self.folder, "--out")
        if self.teacher.exists() and not self.checkpoint.exists():
            raise ParameterError(f"{self.teacher} exists; remove it, or choose another --out")

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Hold these files for one training; RunError where another one holds them."""
        with locked(self.folder, "training", "--out"):
            yield
