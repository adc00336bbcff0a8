"""The log of a training: a JSON object a line, as many lines as an uninterrupted training has."""

from collections.abc import Sequence
from pathlib import Path

from pydantic import ValidationError

from fpmc_bench.documents.reading import Document, first_fault
from fpmc_bench.errors import DiskError, RunError
from fpmc_bench.results.render.optional import drew
from fpmc_bench.storage.atomic import write_atomically


class HeldOutError(Document):
    """Mean squared error of the averaged network on the test images at one noise level."""

    sigma: float
    mse: float


class LogLine(Document):
    """Where a training stands after `step` steps.

    `loss` is the mean training loss (EDM, eq. 2; no unit) over the steps since the line before,
    `images` how many were drawn so far, `images_per_second` the pace since the line before, less
    what held-out errors and sample grids took. `held_out` is empty where none was due.
    """

    step: int
    images: int
    loss: float
    learning_rate: float
    images_per_second: float
    held_out: tuple[HeldOutError, ...] = ()


def append_line(path: Path, line: LogLine) -> None:
    """At the end of the file, which is made where there is none. DiskError where that can't be."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("a", encoding="utf-8") as file:
            file.write(line.model_dump_json() + "\n")
    except OSError as error:
        raise DiskError(f"{path} can't be written ({error.strerror}); make room") from error


def read_log(path: Path) -> list[LogLine]:
    """All lines; none where there is no file. RunError where one is no line of a training's log.

    A last line without its end, as a kill leaves it, is dropped.
    """
    if not path.is_file():
        return []
    text = path.read_text(encoding="utf-8", errors="replace")
    *lines, _ = text.split("\n")
    try:
        return [LogLine.model_validate_json(line) for line in lines]
    except ValidationError as error:
        raise RunError(
            f"{path} is not the log of a training ({first_fault(error, 'line')}); move it away to "
            f"go on"
        ) from error


def rewind_log(path: Path, step: int) -> None:
    """Drop the lines after `step`, which a training that goes on from there writes again."""
    kept: Sequence[LogLine] = [line for line in read_log(path) if line.step <= step]
    if path.is_file():
        write_atomically(path, "".join(f"{line.model_dump_json()}\n" for line in kept).encode())


def draw_log(path: Path, target: Path, title: str, batch: int) -> bool:
    """Draw a training's log as a PNG; `batch` images a step. RunError as in `read_log`.

    False, and nothing is drawn, where the log has one line: a dot says nothing of a course. False,
    too, where it can't be drawn, see `drew`.
    """
    lines = read_log(path)

    def draw(target: Path) -> None:
        from fpmc_bench.results.render.training_curve import CurvePoint, draw_training_curve

        points = [
            CurvePoint(line.step, line.loss, {one.sigma: one.mse for one in line.held_out})
            for line in lines
        ]
        write_atomically(target, draw_training_curve(title, batch, points))

    return len(lines) > 1 and drew(target, draw)
