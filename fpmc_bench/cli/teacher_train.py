"""`fpmc-bench teacher train`: train a network to measure against."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from fpmc_bench.cli.common import data_option, error_table, registry_with_warnings, shared_by
from fpmc_bench.cli.printing import PrintingCommand, echo
from fpmc_bench.cli.training_options import sizes_table, training_options
from fpmc_bench.teachers.training.presets import PRESETS

if TYPE_CHECKING:
    from fpmc_bench.teachers.training.session import Progress


@click.command(epilog=sizes_table(), cls=PrintingCommand)
@click.argument("dataset")
@click.option("--architecture", type=click.Choice(["ddpmpp", "ncsnpp"]), required=True)
@click.option("--out", type=click.Path(path_type=Path, dir_okay=False), required=True,
              help="Where the teacher goes, ending in .safetensors.")  # fmt: skip
@click.option("--size", type=click.Choice(list(PRESETS)), default="tiny", show_default=True,
              help="Network and plan under one name; the options below override it.")  # fmt: skip
@training_options
@click.option("--processes", type=click.IntRange(min=1), default=1, show_default=True,
              help="Local processes that share every batch (one a GPU).")  # fmt: skip
@click.option("--part-images", type=click.IntRange(min=1),
              help="Images a process takes at a time, to save memory.")  # fmt: skip
@click.option("--threads", type=click.IntRange(min=1), help="CPU threads (default: all cores).")
@data_option
def train(
    dataset: str,
    architecture: str,
    out: Path,
    size: str,
    processes: int,
    part_images: int | None,
    threads: int | None,
    data: tuple[str, ...],
    **asked: Any,
) -> None:
    """Train a teacher on DATASET; a killed training goes on when its command is repeated.

    DATASET is a name, or NAME[param=value,...]: 'image-zip[test_images=50]' trains on what a suite
    with these parameters does not measure on.

    Beside the teacher a folder with its name, ending in .training, gets the log (log.jsonl), the
    figure of the loss and the sample grids.
    """
    from fpmc_bench.catalog.places import Places
    from fpmc_bench.jobs.train import refuse_at_once, train_teacher

    refuse_at_once(out, size, asked, processes)
    with shared_by(processes), ExitStack() as stack:
        if threads:
            import torch

            torch.set_num_threads(threads)
        outcome = train_teacher(
            dataset,
            architecture,
            out,
            size=size,
            settings=asked,
            part_images=part_images,
            begin=lambda done, steps: stack.enter_context(_bar(done, steps, out)),
            warn=_warn,
            places=Places.given(data),
            registry=registry_with_warnings(),
        )
    for path in outcome.written:
        echo(f"wrote {path}")
    if outcome.held_out:
        echo(error_table(outcome.held_out))
    for remark in outcome.remarks:
        _warn(remark)


def _warn(remark: str) -> None:
    echo(f"fpmc-bench: {remark}", err=True)


@contextmanager
def _bar(done: int, steps: int, out: Path) -> Iterator["Progress"]:
    """A progress bar with a running mean of the loss."""
    from fpmc_bench.telling.bars import Bar

    if done:
        echo(f"going on from step {done} of {out}", err=True)
    average: float | None = None
    with Bar("training", steps, "step", done=done) as bar:

        def progress(step: int, loss: float) -> None:
            nonlocal average
            average = loss if average is None else 0.99 * average + 0.01 * loss
            bar.note(f"loss {average:.4f}")
            bar.advance()

        yield progress
