"""The end of a training: its teacher file, its figure, and no checkpoint."""

from pathlib import Path

from fpmc_bench.storage.atomic import write_atomically
from fpmc_bench.teachers.files.teacher_file import export_teacher
from fpmc_bench.teachers.training.log import read_log
from fpmc_bench.teachers.training.session import Session


def finish(session: Session, dataset: str) -> list[Path]:
    """Write what a finished training leaves, the teacher first; returns the paths."""
    trainer, files = session.trainer, session.files
    export_teacher(
        files.teacher,
        trainer.average.state_dict(),
        trainer.config,
        trainer.plan,
        dataset,
        trainer.source.fingerprint,
        trainer.step,
    )
    written = [files.teacher]
    if files.log.is_file():
        title = f"{files.teacher.stem}: {trainer.config.architecture} on {dataset}"
        draw_log(files.log, files.curve, title, trainer.plan.batch)
        written += [files.log, files.curve]
    files.checkpoint.unlink(missing_ok=True)
    return written


def draw_log(log: Path, target: Path, title: str, batch: int) -> None:
    """Draw a training's log as a PNG."""
    from fpmc_bench.results.render.training_curve import CurvePoint, draw_training_curve

    points = [
        CurvePoint(line.step, line.loss, {one.sigma: one.mse for one in line.held_out})
        for line in read_log(log)
    ]
    write_atomically(target, draw_training_curve(title, batch, points))
