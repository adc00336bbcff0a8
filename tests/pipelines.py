"""Folders of diffusers pipelines: small networks with random weights, as published ones lie."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import torch

from fpmc_bench import load_teacher
from fpmc_bench.teachers.diffusers import DiffusersTeacher

diffusers = pytest.importorskip("diffusers")

SIDE_PX = 8


def save_pipeline(
    folder: Path,
    prediction: str = "epsilon",
    scheduler: str = "DDPMScheduler",
    schedule: str = "linear",
    saved: Mapping[str, Any] | None = None,
    steps: Mapping[str, Any] | None = None,
    **unet: object,
) -> Path:
    """A small network with random weights, and a scheduler with these settings.

    `saved` is given to `save_pretrained`, `unet` to the network.
    """
    options: dict[str, object] = {
        "sample_size": SIDE_PX,
        "in_channels": 1,
        "out_channels": 1,
        "block_out_channels": (32, 32),
        "layers_per_block": 1,
        "norm_num_groups": 8,  # a channel a group would take out what time and class add to it
        "down_block_types": ("DownBlock2D", "DownBlock2D"),
        "up_block_types": ("UpBlock2D", "UpBlock2D"),
        **unet,
    }
    settings = {"prediction_type": prediction, "beta_schedule": schedule, **(steps or {})}
    times = getattr(diffusers, scheduler)(clip_sample=False, **settings)
    pipeline = getattr(diffusers, scheduler.replace("Scheduler", "Pipeline"))
    torch.manual_seed(0)
    pipeline(diffusers.UNet2DModel(**options), times).save_pretrained(folder, **(saved or {}))
    return folder


def teacher_of(folder: Path) -> DiffusersTeacher:
    teacher = load_teacher(folder)
    assert isinstance(teacher, DiffusersTeacher)
    return teacher


def change(path: Path, **changes: object) -> None:
    """Fields of a JSON file."""
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))
