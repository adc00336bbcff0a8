"""Reading fine-tuned weights: whatever is wrong with a file is said before anything is computed."""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import ValidationError
from torch import Tensor

from fpmc_bench.errors import CheckpointError, InputError, ParameterError
from fpmc_bench.finetune.plan import AXES
from fpmc_bench.finetune.relaxation import kernel_shape, learned_filter, plain_values
from fpmc_bench.finetune.weights import STRUCTURES, FinetuneCard, FinetunedWeights
from fpmc_bench.fpmc import Filter
from fpmc_bench.fpmc.shapes import ImageShape
from fpmc_bench.storage.folders import differences
from fpmc_bench.storage.tensors import read_checkpoint, tensors_in

KIND = "finetuned"
COMMAND = "fpmc-bench finetune"


def load_finetuned(path: Path) -> FinetunedWeights:
    """Read a file of `fpmc-bench finetune`; CheckpointError says what is wrong with others."""
    content = read_checkpoint(path, COMMAND)
    tensors, described = tensors_in(content, path, COMMAND)
    card = _card(path, described)
    shape = ImageShape(*card.shape)
    for level, entry in enumerate(card.levels):
        found = {
            axis: _filter(path, f"{axis}.{level}", entry.structures.get(axis), tensors, shape)
            for axis in AXES
        }
        estimators = [filter_.estimators for filter_ in found.values()]
        if len(set(estimators)) > 1:
            raise CheckpointError(
                f"{path} is damaged: q and r of level {level} have "
                f"{' and '.join(map(str, estimators))} estimators"
            )
        _refuse_unanswered(path, level, found["r"])
    return FinetunedWeights(card, tensors, hashlib.sha256(content).hexdigest())


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
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"]))
        raise CheckpointError(f"{path} has a damaged card: {where}: {first['msg']}") from error


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
    try:
        if values.is_floating_point():
            return learned_filter(values, shape)
    except InputError:  # NaN, or beyond what float32 holds
        pass
    raise CheckpointError(
        f"{path}: {name} holds values that are no logarithms of precisions or responses"
    )


def _refuse_unanswered(path: Path, level: int, response: Filter) -> None:
    """Every pixel needs an estimator that answers for it."""
    without = int((plain_values(response).sum(0) == 0).sum())
    if without:
        raise CheckpointError(
            f"{path} is damaged: r.{level} leaves {without} pixels or dimensions without a response"
        )
