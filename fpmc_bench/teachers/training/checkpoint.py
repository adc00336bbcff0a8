"""The file of an unfinished training: network, moving average, optimiser, and what they are of."""

import contextlib
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from pydantic import ValidationError
from torch import Tensor, nn
from torch.optim import Optimizer

from fpmc_bench.errors import CheckpointError
from fpmc_bench.storage.tensors import load_tensors, load_weights, save_tensors
from fpmc_bench.teachers.training.settings import TrainingSettings
from fpmc_bench.teachers.unet.config import NetworkConfig


def write_training(
    path: Path,
    network: nn.Module,
    average: nn.Module,
    optimizer: Optimizer,
    card: Mapping[str, Any],
) -> None:
    """Write all three and `card` (JSON; its `step` counts the steps done), whole or not at all."""
    tensors = {f"network.{k}": v for k, v in network.state_dict().items()}
    tensors |= {f"average.{k}": v for k, v in average.state_dict().items()}
    for index, state in optimizer.state_dict()["state"].items():
        tensors |= {f"optimizer.{index}.{k}": v for k, v in state.items()}
    save_tensors(path, tensors, card)


def read_training(
    path: Path,
    network: nn.Module,
    average: nn.Module,
    optimizer: Optimizer,
    origin: Mapping[str, Any],
) -> tuple[int, dict[str, Any]]:
    """Give all three what `path` holds; returns the steps done and the card's notes.

    Raises CheckpointError naming what differs from `origin` (config, settings and images, as JSON),
    or what else is wrong with the file.
    """
    try:
        tensors, card = load_tensors(path)
    except CheckpointError as error:  # days of work perhaps: not ours to throw away
        raise CheckpointError(f"{error}; remove it to start afresh") from error
    step, notes = card.pop("step", None), card.pop("notes", {})
    differences = _differences(_with_defaults(card), dict(origin))
    if not isinstance(step, int) or step < 1:
        differences.append(f"step is {step}, expected a count of steps done")
    if differences:
        raise CheckpointError(
            f"{path} belongs to another training run: {'; '.join(differences)}. Repeat the "
            f"command that wrote it, or remove it to start afresh"
        )
    assert isinstance(step, int)  # or there were differences
    for prefix, module in (("network.", network), ("average.", average)):
        part = {k.removeprefix(prefix): v for k, v in tensors.items() if k.startswith(prefix)}
        load_weights(module, part, str(path))
    _load_optimizer(path, tensors, optimizer, sum(1 for _ in network.parameters()))
    return step, dict(notes)


def _load_optimizer(
    path: Path, tensors: Mapping[str, Tensor], optimizer: Optimizer, count: int
) -> None:
    names = ("step", "exp_avg", "exp_avg_sq")
    try:
        state = {i: {n: tensors[f"optimizer.{i}.{n}"] for n in names} for i in range(count)}
    except KeyError as error:
        raise CheckpointError(f"{path} lacks {error.args[0]}: it is damaged") from error
    groups = optimizer.state_dict()["param_groups"]
    optimizer.load_state_dict({"state": state, "param_groups": groups})


def _with_defaults(card: Mapping[str, Any]) -> dict[str, Any]:
    """A checkpoint's card with the settings that did not exist yet when it was written."""
    filled = dict(card)
    if isinstance(card.get("plan"), dict):
        filled["plan"] = {**asdict(TrainingSettings()), **card["plan"]}
    with contextlib.suppress(ValidationError):  # the comparison names what is wrong with it
        filled["config"] = NetworkConfig.model_validate(card.get("config")).model_dump(mode="json")
    return filled


def _differences(found: dict[str, Any], expected: dict[str, Any], prefix: str = "") -> list[str]:
    """What differs between two nested JSON objects: "plan.seed is 1, expected 0"."""
    differences: list[str] = []
    for key in sorted(found.keys() | expected.keys()):
        here, there = found.get(key), expected.get(key)
        if isinstance(here, dict) and isinstance(there, dict):
            differences += _differences(here, there, f"{prefix}{key}.")
        elif here != there:
            differences.append(f"{prefix}{key} is {here}, expected {there}")
    return differences
