"""train_teacher: a teacher network trained on a dataset, in one process or in many."""

import dataclasses
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from fpmc_bench.catalog.datasets import LoadedDataset, load_dataset
from fpmc_bench.catalog.installed import installed_registry
from fpmc_bench.catalog.places import Places
from fpmc_bench.catalog.registry import Registry
from fpmc_bench.documents.names import parse_selection, selection_text
from fpmc_bench.documents.reading import first_fault
from fpmc_bench.errors import ParameterError
from fpmc_bench.harness.cluster.exchange import Exchange, content_state
from fpmc_bench.harness.cluster.islands import islands_of
from fpmc_bench.harness.cluster.processes import join_processes, refuse_crowded_gpus
from fpmc_bench.harness.cluster.training_team import ProcessTeam
from fpmc_bench.teachers.network import read_network
from fpmc_bench.teachers.quality import held_out_errors
from fpmc_bench.teachers.training.batches import pixel_spread
from fpmc_bench.teachers.training.files import TrainingFiles
from fpmc_bench.teachers.training.presets import chosen
from fpmc_bench.teachers.training.session import Habits, Progress, Session
from fpmc_bench.teachers.training.settings import TrainingSettings
from fpmc_bench.teachers.training.trainer import Trainer
from fpmc_bench.teachers.unet.config import NetworkConfig

Begin = Callable[[int, int], Progress]
"""Told the steps done already and those of the plan; returns what is to be told of each step."""
Warn = Callable[[str], None]
"""Told what a user should know of the training, a sentence at a time, before its first step."""


@dataclass(frozen=True)
class TrainingOutcome:
    """What a training leaves."""

    written: tuple[Path, ...]
    """The teacher file, then its log and the figure of it; none but from the main process."""
    held_out: Mapping[float, float]
    """sigma -> mean squared error of the finished file, whose weights are rounded, on test images;
    empty where the dataset has none, where it was asked for by 0, and but in the main process."""
    remarks: tuple[str, ...]
    """What a user should know of the teacher, in sentences; none but from the main process."""


def refuse_at_once(out: Path, size: str, settings: Mapping[str, Any], processes: int) -> None:
    """ParameterError for what can't be, as far as that is known before anything is started.

    UsageError for more processes than GPUs.
    """
    choices = chosen(size, settings)
    batch = choices.settings["batch"]
    TrainingFiles(out).refuse_at_once()
    refuse_crowded_gpus(choices.habits["device"], processes)
    if batch < processes:
        raise ParameterError(
            f"a batch of {batch} can't be shared by {processes} processes: every process needs an "
            f"image; raise --batch or lower --processes"
        )


def train_teacher(
    dataset: str,
    architecture: str,
    out: Path,
    *,
    size: str = "tiny",
    settings: Mapping[str, Any] | None = None,
    part_images: int | None = None,
    begin: Begin | None = None,
    warn: Warn = lambda remark: None,
    places: Places | None = None,
    registry: Registry | None = None,
) -> TrainingOutcome:
    """Train a "ddpmpp" or "ncsnpp" and write it to `out`; go on where an earlier training stopped.

    `dataset` is NAME or NAME[param=value,...]; trained on is its training split alone. `settings`
    override those of the `size` (`presets.PRESETS`): fields of NetworkConfig, TrainingSettings and
    Habits, and the `device`; None leaves the size's. `part_images`: how many a process takes
    through the network at a time. `begin` and `warn` are called in the main process alone. In one
    started by accelerate or torchrun this computes a share of every batch.

    Raises ParameterError or InputError naming the setting that is senseless or does not fit the
    dataset, and ParameterError where the loss stops being finite; RunError where another training
    holds the files; CheckpointError for a checkpoint of
    another training; UsageError for a device that is not there and for more processes than GPUs;
    and what `load_dataset` raises.
    """
    asked = settings or {}
    choices, files = chosen(size, asked), TrainingFiles(out)
    files.refuse_at_once()
    device = choices.habits.pop("device")
    processes = join_processes(device)
    refuse_crowded_gpus(device, int(os.environ.get("LOCAL_WORLD_SIZE", "1")))
    name, params = parse_selection(dataset)
    data = load_dataset(name, params, places=places, registry=registry)
    _refuse_impossible(data, asked)
    team = ProcessTeam(processes)
    trainer = Trainer(
        _network_config(data, architecture, choices.network),
        TrainingSettings(**choices.settings),
        data.train,
        processes.device,
        team=team,
        part_images=part_images,
    )
    session = Session(trainer, files, Habits(**choices.habits), data.test)
    remarks = (*_remarks_on(data, registry), *trainer.settings.remarks)
    for remark in remarks if processes.is_main else ():
        warn(remark)
    folder = files.checkpoint.parent
    (islands,) = islands_of(processes, folder)
    exchange = Exchange(processes, islands, folder)
    exchange.bring([files.checkpoint.name], content_state(folder), everywhere=True)
    with session.opened() as done:
        team.agree_on(done)
        told = begin(done, trainer.settings.steps) if begin and processes.is_main else None
        session.run(told or (lambda step, loss: None))
        written = session.finish(selection_text(name, params)) if processes.is_main else ()
        if islands.leads and not processes.is_main:
            files.checkpoint.unlink(missing_ok=True)  # a copy, to begin with
    measured = processes.is_main and asked.get("held_out_every") != 0
    errors = _held_out(files, data, processes.device) if measured else {}
    if not processes.is_main:
        return TrainingOutcome(written, errors, ())
    if files.curve not in written:
        remarks += (
            "no figure of the loss: a log of one line says nothing of its course; lower "
            "--log-every",
        )
    return TrainingOutcome(written, errors, remarks)


def _remarks_on(data: LoadedDataset, registry: Registry | None) -> tuple[str, ...]:
    """Where no image is held out: every image that there is will have been trained on."""
    if data.test is not None:
        return ()
    remark = f"trains on all {len(data.train)} images of '{data.name}': none is held out, to "
    remark += "measure this teacher on or anything against it"
    plugin = (registry or installed_registry()).get("datasets", data.name).item
    if "test_images" in {field.name for field in dataclasses.fields(plugin)}:
        remark += f"; for a suite that holds some out, train on '{data.name}[test_images=N]'"
    return (remark,)


def _refuse_impossible(data: LoadedDataset, asked: Mapping[str, Any]) -> None:
    """ParameterError where something was asked for that this dataset has no images for.

    What only the size asks for is left out in silence.
    """
    if asked.get("held_out_every") and data.test is None:
        raise ParameterError(
            f"--held-out-every: dataset '{data.name}' has no test images to measure on; leave it "
            f"out, or use 0"
        )
    if asked.get("grid_every") and data.shape.channels not in (1, 3):
        raise ParameterError(
            f"--grid-every: only grey and RGB images can be shown, '{data.name}' has "
            f"{data.shape}; leave it out, or use 0"
        )


def _held_out(files: TrainingFiles, data: LoadedDataset, device: str) -> dict[float, float]:
    if data.test is None:
        return {}
    return held_out_errors(read_network(files.teacher, device), data.test, device=device)


def _network_config(
    data: LoadedDataset, architecture: str, network: Mapping[str, Any]
) -> NetworkConfig:
    shape = data.shape
    if shape.height_px != shape.width_px:
        raise ParameterError(f"teachers are for square images, '{data.name}' has {shape}")
    fields: dict[str, Any] = {
        "architecture": architecture,
        "side_px": shape.height_px,
        "channels": shape.channels,
        **network,
    }
    fields["attention_sides"] = network["attention_sides"] or (shape.height_px // 2,)
    if network["sigma_data"] is None:
        # three digits: sigma_data only sets scales, and is easier to compare across trainings
        fields["sigma_data"] = round(pixel_spread(data.train), 3)
    try:
        return NetworkConfig(**fields)
    except ValidationError as error:
        raise ParameterError(first_fault(error, "network")) from error
