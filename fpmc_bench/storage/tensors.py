"""Tensors with a JSON card in one safetensors file: weights that can't execute anything.

The card also holds a digest of the rest of it and of the tensors. A file that has none, as those of
an earlier fpmc_bench, is read; one that has another is refused.
"""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor, nn

from fpmc_bench.errors import CheckpointError
from fpmc_bench.storage.atomic import write_atomically
from fpmc_bench.storage.notations import parsed_json

CARD_KEY, DIGEST_KEY = "fpmc_bench", "sha256"
NAMED_AT_MOST = 3
"""How many wrong keys an error lists before it counts the rest."""


def save_tensors(path: Path, tensors: Mapping[str, Tensor], card: Mapping[str, Any]) -> None:
    """Write `tensors` of any shapes and types, and `card` (JSON), whole or not at all.

    They are written from the CPU, contiguous; RuntimeError where two share memory.
    """
    contiguous = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    # in the card, since of several metadata safetensors leaves the order to chance
    sealed = {**card, DIGEST_KEY: _digest(card, contiguous)}
    # not safetensors' save_file: that makes files private to their owner, whatever the umask
    write_atomically(path, save(contiguous, {CARD_KEY: json.dumps(sealed, sort_keys=True)}))


def load_tensors(
    path: Path, written_by: str = "fpmc-bench teacher train", *, sealed: bool = False
) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Read a file written by `save_tensors`; CheckpointError names what is wrong with others.

    Tensors are mapped from the file. `written_by`: the command that writes files like this one.
    `sealed`: a file without a digest is refused too.
    """
    refuse_missing(path, written_by)
    try:
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except (SafetensorError, OSError) as error:
        raise other_file(path, error, written_by) from error
    return tensors, unsealed(path, card_of(path, metadata, written_by), tensors, required=sealed)


def unsealed(
    path: Path, card: Mapping[str, Any], tensors: Mapping[str, Tensor], *, required: bool = False
) -> dict[str, Any]:
    """A card without its digest, once that is found to be of this card and these tensors.

    Of any shapes, contiguous, on the CPU. CheckpointError where it is of others, or `required` and
    not there.
    """
    own = dict(card)
    digest = own.pop(DIGEST_KEY, None)
    if required and digest is None:
        raise CheckpointError(f"{path} has no digest, as those of an earlier fpmc-bench")
    if digest is not None and digest != _digest(own, tensors):
        raise CheckpointError(f"{path} is damaged: its content is not what was written there")
    return own


def _digest(card: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> str:
    digest = hashlib.sha256(json.dumps(card, sort_keys=True).encode())
    for name in sorted(tensors):
        tensor = tensors[name]
        digest.update(f"\0{name} {list(tensor.shape)} {tensor.dtype}\0".encode())
        digest.update(tensor.reshape(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()


def refuse_missing(path: Path, written_by: str) -> None:
    """CheckpointError where there is no file."""
    if not path.is_file():
        raise CheckpointError(f"no checkpoint at {path}; expected one of '{written_by}'")


def other_file(path: Path, error: Exception, written_by: str) -> CheckpointError:
    """What to raise where a file can't be read as tensors."""
    return CheckpointError(
        f"{path} is not a safetensors file ({error}); expected one written by '{written_by}'"
    )


def card_of(path: Path, metadata: Mapping[str, str], written_by: str) -> dict[str, Any]:
    """The card of a file with this metadata; CheckpointError where it has none, or no object."""
    if CARD_KEY not in metadata:
        raise CheckpointError(
            f"{path} has no '{CARD_KEY}' card in its metadata: it holds tensors but does not say "
            f"what they are; expected a file written by '{written_by}'"
        )
    try:
        card = parsed_json(metadata[CARD_KEY])
    except ValueError as error:
        raise CheckpointError(f"{path} has a card that is not JSON ({error})") from error
    if not isinstance(card, dict):
        raise CheckpointError(f"{path} has a card that is not a JSON object, but {card!r}")
    return card


def load_weights(module: nn.Module, tensors: Mapping[str, Tensor], origin: str) -> None:
    """Give `module` these parameters and buffers; one on "meta" takes over the tensors themselves.

    Tensors, of any shapes, have the names that `module.state_dict()` gives them. Raises
    CheckpointError, before anything is changed, naming the first missing, unexpected, mis-shaped
    and non-finite ones and `origin`, where the tensors come from.
    """
    expected = module.state_dict()
    problems = [
        _listed("lacks", [name for name in expected if name not in tensors]),
        _listed("has unexpected", [name for name in tensors if name not in expected]),
        _listed(
            "has of another shape",
            [
                f"{name} {list(tensors[name].shape)} (expected {list(tensor.shape)})"
                for name, tensor in expected.items()
                if name in tensors and tensors[name].shape != tensor.shape
            ],
        ),
        _listed("has non-finite", [n for n, t in tensors.items() if not bool(t.isfinite().all())]),
    ]
    if any(problems):
        found = "; ".join(problem for problem in problems if problem)
        raise CheckpointError(f"{origin} is damaged or of another network: {found}")
    blank = any(tensor.is_meta for tensor in expected.values())
    module.load_state_dict(dict(tensors), assign=blank)


def _listed(verb: str, names: list[str]) -> str:
    rest = len(names) - NAMED_AT_MOST
    more = f" and {rest} more" if rest > 0 else ""
    return f"it {verb} {', '.join(names[:NAMED_AT_MOST])}{more}" if names else ""
