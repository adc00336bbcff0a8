"""Reading fine-tuned weights: whatever is wrong with a file is said before anything is computed.

One noise level at a time: a file may be larger than memory.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import ValidationError
from torch import Tensor

from fpmc_bench.documents.reading import first_fault
from fpmc_bench.errors import CheckpointError, InputError, ParameterError
from fpmc_bench.finetune.relaxation import kernel_shape, learned_filter, plain_values
from fpmc_bench.finetune.settings import AXES, Axis
from fpmc_bench.finetune.weights import STRUCTURES, FinetuneCard, FinetunedWeights
from fpmc_bench.fpmc import Filter
from fpmc_bench.fpmc.shapes import ImageShape
from fpmc_bench.storage.folders import differences
from fpmc_bench.storage.tensor_file import TensorFile

KIND = "finetuned"
COMMAND = "fpmc-bench finetune"
MOST_KERNEL_PIXELS = 2**14
"""A kernel of 4 P numbers makes a filter of P^2: for images of 128 x 128 pixels a GiB."""


def load_finetuned(path: str | Path) -> FinetunedWeights:
    """Check all of a file of `fpmc-bench finetune`; it stays open, to read levels as they are used.

    Raises CheckpointError naming what is wrong with others.
    """
    path = Path(path)
    tensors = TensorFile(path, COMMAND)
    card = _card(path, tensors.card)
    for level, entry in enumerate(card.levels):
        _refuse_damaged(path, level, entry.structures, tensors, ImageShape(*card.shape))
    return FinetunedWeights(card, tensors, tensors.fingerprint)


def refuse_other_weights(path: Path, expected: FinetuneCard) -> None:
    """ParameterError where `path` holds anything but weights with such a card, levels aside."""
    if not path.exists():
        return
    try:
        there = _compared(load_finetuned(path).card)
    except CheckpointError as error:
        raise ParameterError(f"{error}; move it away, or choose another --out") from error
    if changed := differences(there, _compared(expected)):
        raise ParameterError(
            f"{path} is there already, and was made otherwise ({changed}); move it away, or "
            f"choose another --out"
        )


def _compared(card: FinetuneCard) -> dict[str, Any]:
    """All that two fine-tunings have to share, in one piece, as JSON has it."""
    plain = json.loads(card.model_dump_json(exclude={"kind", "version", "levels"}))
    circumstances, plan = plain.pop("circumstances"), plain.pop("plan")
    return {**plain, "sigmas": list(card.sigmas), **plan, **circumstances}


def _card(path: Path, content: Mapping[str, Any]) -> FinetuneCard:
    if content.get("kind") != KIND:
        raise CheckpointError(f"{path} is not a file of '{COMMAND}'")
    try:
        return FinetuneCard.model_validate(content)
    except ValidationError as error:
        raise CheckpointError(f"{path} has a damaged card: {first_fault(error, 'card')}") from error


def _refuse_damaged(
    path: Path,
    level: int,
    structures: Mapping[Axis, str],
    tensors: Mapping[str, Tensor],
    shape: ImageShape,
) -> None:
    """Q and R of a level have to be there, fit each other, and answer for every pixel."""
    found = {
        axis: _filter(path, f"{axis}.{level}", structures.get(axis), tensors, shape)
        for axis in AXES
    }
    estimators = [filter_.estimators for filter_ in found.values()]
    if len(set(estimators)) > 1:
        raise CheckpointError(
            f"{path} is damaged: q and r of level {level} have "
            f"{' and '.join(map(str, estimators))} estimators"
        )
    # what has a structure answers for every pixel, and says so without a matrix
    whole = found["r"].partitions
    if not whole and (without := int((plain_values(found["r"]).sum(0) == 0).sum())):
        raise CheckpointError(
            f"{path} is damaged: r.{level} leaves {without} pixels or dimensions without a response"
        )


def _filter(
    path: Path,
    name: str,
    structure: str | None,
    tensors: Mapping[str, Tensor],
    shape: ImageShape,
) -> Filter:
    """By its structure, where it has one, or from its log values."""
    if structure is not None:
        if structure not in STRUCTURES:
            raise CheckpointError(
                f"{path}: {name} has the unknown structure '{structure}'; known are "
                f"{', '.join(STRUCTURES)}"
            )
        return STRUCTURES[structure](shape)
    if name not in tensors:
        raise CheckpointError(f"{path} is damaged: it lacks {name}")
    values = tensors[name]
    kernel = kernel_shape(shape)
    vectors = values.ndim == 2 and values.shape[1] in (shape.pixels, shape.dimensions)
    if not vectors and tuple(values.shape) != kernel:
        raise CheckpointError(
            f"{path}: {name} has shape {list(values.shape)}; expected [M,{shape.pixels}], "
            f"[M,{shape.dimensions}] or a kernel {list(kernel)}"
        )
    if not vectors and shape.pixels > MOST_KERNEL_PIXELS:
        raise CheckpointError(
            f"{path}: {name} is a kernel for images of {shape}; expected at most "
            f"{MOST_KERNEL_PIXELS} pixels"
        )
    try:
        if values.is_floating_point():
            return learned_filter(values, shape)
    except InputError:  # NaN, or beyond what float32 holds
        pass
    raise CheckpointError(
        f"{path}: {name} holds values that are no logarithms of precisions or responses"
    )
