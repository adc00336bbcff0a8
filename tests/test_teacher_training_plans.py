"""What a size and a plan stand for: the paper's numbers, overrides, older files, refusals."""

from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pytest
import torch
from trainings import PLAN, TINY, weights_after

from fpmc_bench import Source, load_teacher
from fpmc_bench.errors import CheckpointError, ParameterError
from fpmc_bench.storage.tensors import load_tensors, save_tensors
from fpmc_bench.teachers.training.presets import chosen
from fpmc_bench.teachers.training.settings import TrainingSettings
from fpmc_bench.teachers.training.trainer import Trainer
from fpmc_bench.teachers.unet.config import NetworkConfig
from fpmc_bench.teachers.unet.preconditioning import EDMPrecond

LATER_FIELDS = {
    "ema_halflife_images",
    "learning_rate_decay",
    "adam_beta2",
    "weight_decay",
    "max_gradient_norm",
    "hflip",
    "precision",
}
"""Of TrainingSettings: files from before they existed must still mean what they meant."""


@pytest.mark.parametrize(("size", "millions"), [("small", (8, 9)), ("edm", (55, 57))])
@pytest.mark.parametrize("architecture", ["ddpmpp", "ncsnpp"])
def test_sizes_have_the_parameters_they_promise(
    architecture: str, size: str, millions: tuple[int, int]
) -> None:
    network = {**chosen(size, {}).network, "attention_sides": (16,)}
    with torch.device("meta"):
        built = EDMPrecond(
            NetworkConfig(architecture=architecture, side_px=32, channels=3, **network)
        )
    low, high = millions
    assert low <= sum(p.numel() for p in built.parameters()) / 1e6 < high


def test_the_edm_size_is_that_of_the_paper() -> None:
    """Karras et al. 2022, table 7, CIFAR-10 column, and its 200 M images."""
    plan = TrainingSettings(**chosen("edm", {}).settings)
    assert (plan.batch, plan.learning_rate, plan.steps) == (512, 1e-3, 390_625)
    assert plan.warmup_steps == 19_532, "10 M images"
    assert plan.learning_rate_at(19_531) == plan.learning_rate_at(390_000) == 1e-3
    assert plan.ema_decay_at(390_000) == pytest.approx(0.5 ** (512 / 500_000))
    assert plan.ema_decay_at(1000) == pytest.approx(0.5 ** (1 / 50)), "5% of the images so far"
    assert plan.ema_decay_at(0) == 0
    assert (plan.sigma_log_mean, plan.sigma_log_std) == (-1.2, 1.2)


def test_the_tiny_size_is_the_default_plan() -> None:
    assert TrainingSettings(**chosen("tiny", {}).settings) == TrainingSettings()


def test_options_override_a_size_and_lengths_stay_in_images() -> None:
    choices = chosen("edm", {"batch": 1024, "dropout": 0.0, "device": "cpu", "seed": None})
    assert choices.settings["steps"] == 195_313
    assert choices.settings["warmup_steps"] == 9766
    assert choices.network["dropout"] == 0
    assert choices.habits["device"] == "cpu"
    assert chosen("edm", {"steps": 7}).settings["steps"] == 7
    assert chosen("small", {"ema_decay": 0.9}).settings["ema_halflife_images"] is None
    assert chosen("small", {"max_gradient_norm": 0.0}).settings["max_gradient_norm"] is None
    with pytest.raises(ParameterError, match="--ema-halflife-images are two rules"):
        chosen("tiny", {"ema_decay": 0.9, "ema_halflife_images": 100.0})


def test_a_file_from_before_the_later_fields_means_their_defaults() -> None:
    before = {k: v for k, v in asdict(TrainingSettings()).items() if k not in LATER_FIELDS}
    assert TrainingSettings(**before) == TrainingSettings()
    for name in ("digits-ddpmpp", "photos-ncsnpp"):
        card = load_teacher(name).card  # type: ignore[attr-defined]
        assert (card.plan.hflip, card.plan.precision, card.plan.weight_decay) == (
            False,
            "fp32",
            0.01,
        )


def test_a_checkpoint_from_before_the_later_fields_goes_on(digits: Source, tmp_path: Path) -> None:
    path = tmp_path / "a.checkpoint"
    trainer = Trainer(TINY, PLAN, digits)
    weights_after(trainer, 2)
    trainer.save(path)
    tensors, card = load_tensors(path)
    del card["notes"]
    card["plan"] = {k: v for k, v in card["plan"].items() if k not in LATER_FIELDS}
    save_tensors(path, tensors, card)
    old = Trainer(TINY, PLAN, digits)
    assert old.load(path) == {}
    assert old.step == 2
    with pytest.raises(CheckpointError, match=r"plan\.hflip is False, expected True"):
        Trainer(TINY, replace(PLAN, hflip=True), digits).load(path)


def test_a_packaged_teacher_is_still_the_same() -> None:
    expected = "ca0eac7ef8b77728d77559fe91651e27c76d404ddb8fec9c9032cc78f4495c3a"
    assert load_teacher("digits-ddpmpp").fingerprint == expected


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"adam_beta2": 1.0}, r"adam_beta2 must lie in \[0, 1\), got 1"),
        ({"weight_decay": -1.0}, "weight_decay must not be negative"),
        ({"ema_halflife_images": 0.0}, "ema_halflife_images must be positive"),
        ({"max_gradient_norm": 0.0}, "max_gradient_norm must be positive"),
        ({"learning_rate": float("nan")}, "learning_rate must be positive, got nan"),
    ],
)
def test_impossible_plans_are_refused_by_name(change: dict[str, Any], message: str) -> None:
    with pytest.raises(ParameterError, match=message):
        replace(PLAN, **change)
