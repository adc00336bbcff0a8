"""The file of an unfinished level: parameters, moments of AdamW, the best weights, the curve."""

from pathlib import Path

import torch
from torch import Tensor

from fpmc_bench.finetune.descent import Descent, Point
from fpmc_bench.storage.kept import keep_tensors, kept_tensors

MOMENTS = ("step", "exp_avg", "exp_avg_sq")


def save_descent(path: Path, descent: Descent) -> None:
    """Write everything that the next step depends on; atomic, safetensors only."""
    tensors: dict[str, Tensor] = {
        f"value.{i}": p for i, p in enumerate(descent.relaxation.parameters())
    }
    for index, state in descent.optimizer.state_dict()["state"].items():
        tensors |= {f"moment.{index}.{name}": state[name] for name in MOMENTS}
    tensors |= {f"best.{axis}": values for axis, values in descent.best.items()}
    card = {"step": descent.step, "curve": descent.curve, "stopped": descent.stopped}
    keep_tensors(path, tensors, card)


def load_descent(path: Path, descent: Descent) -> bool:
    """Put a descent where `path` left it; False, and unchanged, where there is no whole file.

    Whether the file is of this problem is for its name to say.
    """
    kept = kept_tensors(path)
    if kept is None:
        return False
    tensors, card = kept
    try:
        parameters = list(descent.relaxation.parameters())
        values = [tensors[f"value.{i}"] for i in range(len(parameters))]
        moments = {
            i: {name: tensors[f"moment.{i}.{name}"] for name in MOMENTS}
            for i in range(len(parameters))
            if f"moment.{i}.step" in tensors
        }
        step, stopped = card["step"], card["stopped"]
        curve = [Point(*point) for point in card["curve"]]
    except (KeyError, TypeError):  # whole, but of another version of fpmc_bench
        return False
    with torch.no_grad():
        for parameter, value in zip(parameters, values, strict=True):
            parameter.copy_(value)
    groups = descent.optimizer.state_dict()["param_groups"]
    descent.optimizer.load_state_dict({"state": moments, "param_groups": groups})
    descent.step, descent.curve, descent.stopped = step, curve, stopped
    descent.best = {
        axis: tensors[f"best.{axis}"] for axis in ("q", "r") if f"best.{axis}" in tensors
    }
    return True
