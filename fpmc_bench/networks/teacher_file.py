"""The file of a finished teacher: EMA weights, and a card that says how they came about.

Weights are rounded to float16, which halves the file. Buffers are not: an NCSN++'s Fourier
frequencies multiply ln(sigma), and a rounded frequency is another embedding.
"""

from collections.abc import Mapping
from pathlib import Path

import torch
from pydantic import BaseModel, ConfigDict, NonNegativeInt, ValidationError
from torch import Tensor

from fpmc_bench.errors import CheckpointError
from fpmc_bench.networks.checkpoint import load_tensors, load_weights, save_tensors
from fpmc_bench.networks.config import NetworkConfig
from fpmc_bench.networks.preconditioning import EDMPrecond
from fpmc_bench.networks.training import TrainingPlan


class TeacherCard(BaseModel):
    """What a teacher file says about its weights. Frozen, validated, JSON-able.

    `plan` is None where the weights were not trained here (converted from a published file);
    `dataset_fingerprint` is that of the training images.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    config: NetworkConfig
    plan: TrainingPlan | None
    dataset: str
    dataset_fingerprint: str
    step: NonNegativeInt


def export_teacher(
    path: Path,
    state_dict: Mapping[str, Tensor],
    config: NetworkConfig,
    plan: TrainingPlan | None,
    dataset: str,
    dataset_fingerprint: str,
    step: int,
) -> None:
    """Write the weights of an EDMPrecond (the moving average of a Trainer) as a teacher file.

    Raises CheckpointError where `state_dict` is not that of `config`, or where a weight does not
    fit float16.
    """
    network = _blank(config)
    load_weights(network, state_dict, "state_dict")
    buffers = {name for name, _ in network.named_buffers()}
    tensors = {
        name: tensor.float() if name in buffers else tensor.half()
        for name, tensor in state_dict.items()
    }
    overflowing = [name for name, tensor in tensors.items() if not bool(tensor.isfinite().all())]
    if overflowing:
        raise CheckpointError(
            f"{overflowing[0]} has values beyond 65504, the largest float16; the network diverged"
        )
    card = TeacherCard(
        config=config,
        plan=plan,
        dataset=dataset,
        dataset_fingerprint=dataset_fingerprint,
        step=step,
    )
    save_tensors(path, tensors, card.model_dump(mode="json"))


def read_teacher(path: Path) -> tuple[EDMPrecond, TeacherCard]:
    """The network of a teacher file, in float32 on the CPU and in evaluation mode, and its card.

    Raises CheckpointError naming what is wrong with a file that is anything else.
    """
    tensors, content = load_tensors(path)
    try:
        card = TeacherCard.model_validate(content)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise CheckpointError(
            f"{path} is not a teacher file: '{where}' of its card: {first['msg']}; expected one "
            f"written by 'fpmc-bench teacher train'"
        ) from error
    network = _blank(card.config)
    load_weights(network, {name: tensor.float() for name, tensor in tensors.items()}, str(path))
    return network.eval().requires_grad_(False), card


def _blank(config: NetworkConfig) -> EDMPrecond:
    """The network without storage: a file's card can ask for no more memory than the file fills."""
    with torch.device("meta"):
        return EDMPrecond(config)
