"""Networks: teacher files, published pickles, pipelines of diffusers, unfinished trainings."""

from functools import cache
from pathlib import Path
from typing import Any

import torch
from edm_files import edm_object, network_of, write_edm

from fpmc_bench import load_teacher
from fpmc_bench.teachers.files.teacher_file import (
    convert_edm,
    export_teacher,
    read_edm,
    read_teacher,
)
from fpmc_bench.teachers.training.checkpoint import read_training, write_training
from fpmc_bench.teachers.training.log import HeldOutError, LogLine, append_line, read_log
from fpmc_bench.teachers.unet.config import NetworkConfig
from fpmc_bench.teachers.unet.preconditioning import EDMPrecond
from fuzzing.digests import without_digest
from fuzzing.trials import Loader

TINY = NetworkConfig(
    architecture="ddpmpp",
    side_px=4,
    channels=1,
    model_channels=4,
    channel_mult=(1, 1),
    num_blocks=1,
    attention_sides=(),
)


def write_teacher(folder: Path) -> list[Path]:
    network = network_of(TINY)
    export_teacher(folder / "a.safetensors", network.state_dict(), TINY, None, "digits", "", 1)
    write_edm(folder / "b.pkl", edm_object(network))
    convert_edm(folder / "b.safetensors", folder / "b.pkl")
    return [without_digest(folder / "a.safetensors"), folder / "b.safetensors"]


def write_published(folder: Path) -> list[Path]:
    network = network_of(TINY)
    return [write_edm(folder / f"{n}.pkl", edm_object(network), protocol=n) for n in (2, 4)]


@cache
def a_training() -> tuple[EDMPrecond, EDMPrecond, torch.optim.Optimizer]:
    network = network_of(TINY).requires_grad_(True)
    optimizer = torch.optim.Adam(network.parameters())
    for parameter in network.parameters():
        parameter.grad = torch.ones_like(parameter)
    optimizer.step()
    return network, network_of(TINY), optimizer


ORIGIN = {"config": TINY.model_dump(mode="json"), "dataset": "digits"}


def write_checkpoint(folder: Path) -> list[Path]:
    write_training(folder / "mine.checkpoint", *a_training(), {**ORIGIN, "step": 3, "notes": {}})
    return [without_digest(folder / "mine.checkpoint")]


def go_on_training(path: Path) -> Any:
    network, average, optimizer = a_training()
    found = read_training(path, network, average, optimizer, ORIGIN)
    optimizer.step()  # with what it was given
    return found


def write_log(folder: Path) -> list[Path]:
    for step in (10, 20):
        held_out = (HeldOutError(sigma=1.0, mse=0.5),)
        line = LogLine(
            step=step,
            images=step,
            loss=0.5,
            learning_rate=0.1,
            images_per_second=1.0,
            held_out=held_out,
        )
        append_line(folder / "log.jsonl", line)
    return [folder / "log.jsonl"]


def write_pipeline(folder: Path) -> list[Path]:
    from pipelines import save_pipeline  # which needs diffusers

    save_pipeline(
        folder,
        steps={"num_train_timesteps": 50},
        block_out_channels=(4, 4),
        norm_num_groups=2,
        add_attention=False,
    )
    return [path for path in sorted(folder.rglob("*")) if path.is_file()]


def ask_pipeline(path: Path) -> Any:
    folder = path.parent if path.name == "model_index.json" else path.parent.parent
    return load_teacher(folder).fingerprint


LOADERS = (
    Loader("teacher file", write_teacher, read_teacher),
    Loader("EDM pickle", write_published, read_edm),
    Loader("checkpoint of a training", write_checkpoint, go_on_training),
    Loader("training log", write_log, read_log),
    Loader("diffusers folder", write_pipeline, ask_pipeline),
)
