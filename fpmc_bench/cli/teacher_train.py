"""`fpmc-bench teacher train`: train a network to measure against."""

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from fpmc_bench.cli.common import data_option, error_table, registry_with_warnings
from fpmc_bench.cli.training_options import sizes_table, training_options
from fpmc_bench.teachers.training.presets import PRESETS

if TYPE_CHECKING:
    from fpmc_bench.catalog.datasets import LoadedDataset
    from fpmc_bench.harness.processes import Processes
    from fpmc_bench.teachers.training.files import TrainingFiles
    from fpmc_bench.teachers.training.session import Session


@click.command(epilog=sizes_table())
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

    Beside the teacher a folder with its name, ending in .training, gets the log (log.jsonl), the
    figure of the loss and the sample grids.
    """
    from fpmc_bench.errors import ParameterError
    from fpmc_bench.teachers.training.files import TrainingFiles
    from fpmc_bench.teachers.training.presets import chosen

    choices = chosen(size, asked)
    files = TrainingFiles(out)
    files.refuse_finished()
    batch = choices.plan["batch"]
    if batch < processes:
        raise ParameterError(
            f"a batch of {batch} can't be shared by {processes} processes: every process needs an "
            f"image; raise --batch or lower --processes"
        )

    from fpmc_bench.harness.processes import join_processes, leave_processes, relaunch

    if processes > 1 and "WORLD_SIZE" not in os.environ:
        click.get_current_context().exit(relaunch(processes, sys.argv[1:]))
    if threads:
        import torch

        torch.set_num_threads(threads)
    from fpmc_bench.jobs.train import new_session, refuse_impossible

    joined = join_processes(_known_device(choices.habits.pop("device")))
    try:
        loaded = _loaded(dataset, data)
        refuse_impossible(loaded, asked)
        session = new_session(loaded, architecture, choices, files, joined, part_images)
        if _train(session, loaded, joined) and asked["held_out_every"] != 0:
            _show_held_out(files, loaded, joined.device)
    finally:
        leave_processes()


def _known_device(name: str) -> str:
    """The name, or UsageError where it is a GPU that this machine does not have."""
    import torch

    from fpmc_bench.errors import UsageError

    count = torch.cuda.device_count()
    kind, _, number = name.partition(":")
    if kind == "cuda" and count and number and not (number.isdecimal() and int(number) < count):
        raise UsageError(
            f"device '{name}' was asked for, but torch finds {count} CUDA GPUs, from 0"
        )
    return name


def _loaded(dataset: str, data: tuple[str, ...]) -> "LoadedDataset":
    from fpmc_bench.catalog.datasets import load_dataset
    from fpmc_bench.catalog.places import Places

    registry = registry_with_warnings()
    return load_dataset(dataset, places=Places.given(data), registry=registry)


def _train(session: "Session", loaded: "LoadedDataset", processes: "Processes") -> bool:
    """Train to the end; whether this is the main process, which alone says and writes anything."""
    from tqdm import tqdm

    from fpmc_bench.harness.training_team import ProcessTeam
    from fpmc_bench.teachers.training.finish import finish

    average: float | None = None
    total = session.trainer.plan.steps
    with session.opened() as done:
        ProcessTeam(processes).agree_on(done)
        if done and processes.is_main:
            click.echo(f"going on from step {done}, {session.files.checkpoint}", err=True)
        hidden = None if processes.is_main else True
        with tqdm(total=total, initial=done, unit="step", disable=hidden) as bar:

            def progress(step: int, loss: float) -> None:
                nonlocal average
                average = loss if average is None else 0.99 * average + 0.01 * loss
                bar.set_postfix(loss=f"{average:.4f}", refresh=False)
                bar.update()

            session.run(progress)
        if processes.is_main:
            for path in finish(session, loaded.name):
                click.echo(f"wrote {path}")
    return processes.is_main


def _show_held_out(files: "TrainingFiles", loaded: "LoadedDataset", device: str) -> None:
    """The errors of the finished file, whose weights are rounded, on held-out images."""
    from fpmc_bench.catalog.teachers import load_teacher
    from fpmc_bench.teachers.quality import held_out_errors

    if loaded.test is not None:
        teacher = load_teacher(files.teacher, device)
        click.echo(error_table(held_out_errors(teacher, loaded.test, device=device)))
