"""From what was chosen to a session that is ready to go; everything is checked on the way."""

from collections.abc import Mapping
from typing import Any

from pydantic import ValidationError

from fpmc_bench.catalog.datasets import LoadedDataset
from fpmc_bench.errors import ParameterError
from fpmc_bench.harness.processes import Processes
from fpmc_bench.harness.training_team import ProcessTeam
from fpmc_bench.teachers.training.batches import pixel_spread
from fpmc_bench.teachers.training.files import TrainingFiles
from fpmc_bench.teachers.training.presets import Choices
from fpmc_bench.teachers.training.session import Habits, Session
from fpmc_bench.teachers.training.trainer import Trainer, TrainingPlan
from fpmc_bench.teachers.unet.config import NetworkConfig


def new_session(
    data: LoadedDataset,
    architecture: str,
    choices: Choices,
    files: TrainingFiles,
    processes: Processes,
    part_images: int | None,
) -> Session:
    """Raises ParameterError or InputError naming the setting that is senseless or does not fit."""
    trainer = Trainer(
        _network_config(data, architecture, choices.network),
        TrainingPlan(**choices.plan),
        data.train,
        processes.device,
        team=ProcessTeam(processes),
        part_images=part_images,
    )
    return Session(trainer, files, Habits(**choices.habits), data.test)


def refuse_impossible(data: LoadedDataset, asked: Mapping[str, Any]) -> None:
    """ParameterError where something was asked for that this dataset has no images for.

    What only the size asks for is left out in silence.
    """
    if asked["held_out_every"] and data.test is None:
        raise ParameterError(
            f"--held-out-every: dataset '{data.name}' has no test images to measure on; leave it "
            f"out, or use 0"
        )
    if asked["grid_every"] and data.shape.channels not in (1, 3):
        raise ParameterError(
            f"--grid-every: only grey and RGB images can be shown, '{data.name}' has "
            f"{data.shape}; leave it out, or use 0"
        )


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
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"]) or "network"
        raise ParameterError(f"{where}: {first['msg']}") from error
