"""The sizes of `fpmc-bench teacher train --size`: network, settings and habits under one name."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

from fpmc_bench.errors import ParameterError, UnknownNameError
from fpmc_bench.teachers.training.settings import TrainingSettings


@dataclass(frozen=True)
class Preset:
    """What a size stands for; every setting can be overridden by its own option.

    `network` are fields of NetworkConfig (attention_sides None: half the image's side; sigma_data
    None: the standard deviation of the training images), `settings` of TrainingSettings; `images`
    and `warmup_images` become steps when the batch is known. `habits` change no weight: how often
    things are written, and where it computes (device).
    """

    summary: str
    network: Mapping[str, Any]
    settings: Mapping[str, Any]
    habits: Mapping[str, Any]
    images: int | None = None
    warmup_images: int | None = None


_RARELY = {"log_every": 100, "checkpoint_every": 500, "held_out_every": 0, "grid_every": 0}
_OFTEN = {"log_every": 100, "checkpoint_every": 2000, "held_out_every": 5000, "grid_every": 10_000}

PRESETS: Mapping[str, Preset] = {
    "tiny": Preset(
        "the networks of the embedded suites, for CPUs",
        network={
            "model_channels": 32,
            "channel_mult": (1, 2),
            "num_blocks": 2,
            "attention_sides": None,
            "dropout": 0.1,
            "sigma_data": None,
        },
        settings={"steps": 8000, "batch": 64, "learning_rate": 1e-3, "warmup_steps": 300},
        habits={**_RARELY, "device": "cpu"},
    ),
    "small": Preset(
        "8.8 M parameters at 32x32 RGB: EDM's networks, half as wide and half as deep",
        network={
            "model_channels": 64,
            "channel_mult": (2, 2, 2),
            "num_blocks": 2,
            "attention_sides": None,
            "dropout": 0.1,
            "sigma_data": 0.5,
        },
        settings={"learning_rate": 1e-3, "batch": 256, "ema_halflife_images": 500_000},
        images=25_600_000,
        warmup_images=500_000,
        habits={**_OFTEN, "device": "auto"},
    ),
    # Karras et al. 2022, table 7 and appendix F.2, for unconditional CIFAR-10: DDPM++ ("VP") and
    # NCSN++ ("VE") alike. Without the non-leaking augmentation of appendix F.2.
    "edm": Preset(
        "EDM's CIFAR-10 networks, 56 M parameters, and their training",
        network={
            "model_channels": 128,
            "channel_mult": (2, 2, 2),
            "num_blocks": 4,
            "attention_sides": (16,),
            "dropout": 0.13,
            "sigma_data": 0.5,
        },
        settings={
            "learning_rate": 1e-3,
            "batch": 512,
            "ema_halflife_images": 500_000,
            "sigma_log_mean": -1.2,
            "sigma_log_std": 1.2,
            "learning_rate_decay": "none",
            "adam_beta2": 0.999,
            "weight_decay": 0.0,
            "max_gradient_norm": None,
        },
        images=200_000_000,
        warmup_images=10_000_000,
        habits={**_OFTEN, "device": "auto"},
    ),
}


@dataclass(frozen=True)
class Choices:
    """A size and what was asked for beside it: of NetworkConfig, TrainingSettings, habits."""

    network: dict[str, Any]
    settings: dict[str, Any]
    habits: dict[str, Any]


def chosen(size: str, asked: Mapping[str, Any]) -> Choices:
    """The settings of a size, those in `asked` that are not None put in their place.

    A `max_gradient_norm` of 0 asks for no clipping. UnknownNameError for a size or a setting that
    does not exist, ParameterError for two rules of averaging.
    """
    if size not in PRESETS:
        raise UnknownNameError("size", size, PRESETS)
    preset = PRESETS[size]
    known = {*preset.network, *preset.habits, *(field.name for field in fields(TrainingSettings))}
    for name in asked:
        if name not in known:
            raise UnknownNameError("training setting", name, known)
    given = {name: value for name, value in asked.items() if value is not None}
    network = {name: given.pop(name, value) for name, value in preset.network.items()}
    habits = {name: given.pop(name, value) for name, value in preset.habits.items()}
    settings = {**preset.settings, **given}
    if "ema_decay" in given:
        if "ema_halflife_images" in given:
            raise ParameterError(
                "--ema-decay and --ema-halflife-images are two rules for one average; give one"
            )
        settings["ema_halflife_images"] = None
    for name, images in (("steps", preset.images), ("warmup_steps", preset.warmup_images)):
        if images is not None and name not in given:
            settings[name] = math.ceil(images / settings["batch"])
    settings["max_gradient_norm"] = settings.get("max_gradient_norm", 1.0) or None
    return Choices(network, settings, habits)
