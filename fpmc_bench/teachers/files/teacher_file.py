"""The file of a finished teacher: EMA weights, and a card that says how they came about.

Weights that were trained here are rounded to float16, which halves the file. Buffers are not: an
NCSN++'s Fourier frequencies multiply ln(sigma), and a rounded frequency is another embedding.
Converted weights (`convert_edm`) keep the type they were published in.
"""

from collections.abc import Mapping
from pathlib import Path

import torch
from pydantic import Field, NonNegativeInt, PositiveFloat, ValidationError
from torch import Tensor

from fpmc_bench.documents.reading import Document, first_fault
from fpmc_bench.errors import CheckpointError
from fpmc_bench.storage.tensors import load_tensors, load_weights, save_tensors
from fpmc_bench.teachers.files.canary import CANARY, CANARY_SIGMAS, answers, check_canary
from fpmc_bench.teachers.files.edm_pickle import PickledNetwork, read_edm_pickle
from fpmc_bench.teachers.training.settings import TrainingSettings
from fpmc_bench.teachers.unet.config import NetworkConfig
from fpmc_bench.teachers.unet.preconditioning import EDMPrecond

DATASETS = {"cifar10": "cifar10", "ffhq": "ffhq64", "afhqv2": "afhqv2-64"}
"""EDM's name of a dataset, in the names of its files, and ours."""


class Origin(Document):
    """The published file that weights were converted from: its name and the sha256 of its bytes."""

    file: str
    sha256: str


class TeacherCard(Document):
    """What a teacher file says about its weights. Frozen, validated, JSON-able.

    `plan` is None where the weights were not trained here, but come from `origin`;
    `dataset_fingerprint` is that of the training images, "" where nobody knows it. `canary` are
    the noise levels of the answers that lie beside the weights (see `canary`). `label_dropout` is
    the share of images whose class the training left out.
    """

    config: NetworkConfig
    plan: TrainingSettings | None
    dataset: str
    dataset_fingerprint: str
    step: NonNegativeInt
    origin: Origin | None = None
    canary: tuple[PositiveFloat, ...] = Field(default=(), max_length=16)
    label_dropout: float = Field(default=0, ge=0, le=1)


def export_teacher(
    path: Path,
    state_dict: Mapping[str, Tensor],
    config: NetworkConfig,
    plan: TrainingSettings | None,
    dataset: str,
    dataset_fingerprint: str,
    step: int,
) -> None:
    """Write the weights of an EDMPrecond (the moving average of a Trainer) as a teacher file.

    `state_dict` has tensors of any shapes, by name. Raises CheckpointError where it is not that of
    `config`, or where a weight does not fit float16.
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


def convert_edm(path: Path, source: Path) -> tuple[EDMPrecond, TeacherCard]:
    """Write a published EDM file as a teacher file; returns what `read_teacher` does of it.

    Weights keep their type, and the network's answers to the canary lie beside them. Raises
    CheckpointError naming what is wrong with `source`.
    """
    pickled, network, card = _from_edm(source)
    card = card.model_copy(update={"canary": CANARY_SIGMAS})
    tensors = {**pickled.tensors, CANARY: answers(network, card.canary)}
    save_tensors(path, tensors, card.model_dump(mode="json"))
    return read_teacher(path)


def read_edm(path: Path) -> tuple[EDMPrecond, TeacherCard]:
    """The network of a published EDM file, as `read_teacher` gives it; nothing of it is executed.

    Raises CheckpointError naming what is wrong with a file that is anything else.
    """
    return _from_edm(path)[1:]


def read_teacher(path: Path) -> tuple[EDMPrecond, TeacherCard]:
    """The network of a teacher file, in float32 on the CPU and in evaluation mode, and its card.

    Raises CheckpointError naming what is wrong with a file that is anything else, or that the
    network does not give the answers which the file says it gives.
    """
    tensors, content = load_tensors(path)
    try:
        card = TeacherCard.model_validate(content)
    except ValidationError as error:
        raise CheckpointError(
            f"{path} is not a teacher file: in its card, {first_fault(error, 'card')}; "
            f"expected one written by 'fpmc-bench teacher train' or 'fpmc-bench teacher convert'"
        ) from error
    expected = tensors.pop(CANARY, None) if card.canary else None
    network = _with_weights(card.config, tensors, path)
    if card.canary:
        check_canary(network, card.canary, expected, str(path))
    return network, card


def _from_edm(path: Path) -> tuple[PickledNetwork, EDMPrecond, TeacherCard]:
    pickled = read_edm_pickle(path)
    network = _with_weights(pickled.config, pickled.tensors, path)
    card = TeacherCard(
        config=pickled.config,
        plan=None,
        dataset=_published_dataset(path.name),
        dataset_fingerprint="",
        step=0,
        origin=Origin(file=path.name, sha256=pickled.sha256),
        label_dropout=pickled.label_dropout,
    )
    return pickled, network, card


def _published_dataset(file_name: str) -> str:
    """The dataset of a published file, which is named after it; files themselves don't say."""
    known = (name for part, name in DATASETS.items() if f"-{part}-" in file_name)
    return next(known, "unknown")


def _with_weights(config: NetworkConfig, tensors: Mapping[str, Tensor], path: Path) -> EDMPrecond:
    network = _blank(config)
    load_weights(network, {name: tensor.float() for name, tensor in tensors.items()}, str(path))
    return network.eval().requires_grad_(False)


def _blank(config: NetworkConfig) -> EDMPrecond:
    """The network without storage: a file's card can ask for no more memory than the file fills."""
    with torch.device("meta"):
        return EDMPrecond(config)
