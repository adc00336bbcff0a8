"""Tensors with a JSON card in one safetensors file: weights that can't execute anything."""

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from fpmc_bench.errors import CheckpointError

CARD_KEY = "fpmc_bench"


def save_tensors(path: Path, tensors: Mapping[str, Tensor], card: Mapping[str, Any]) -> None:
    """Write `tensors` and `card` (JSON) to `path`, whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f"{path.name}.{os.getpid()}.partial")
    contiguous = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    save_file(contiguous, partial, metadata={CARD_KEY: json.dumps(card, sort_keys=True)})
    partial.replace(path)


def load_tensors(path: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Read a file written by `save_tensors`; CheckpointError names what is wrong with others."""
    if not path.is_file():
        raise CheckpointError(f"no checkpoint at {path}")
    try:
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except SafetensorError as error:
        raise CheckpointError(
            f"{path} is not a safetensors file ({error}); expected one written by "
            f"'fpmc-bench teacher train'"
        ) from error
    if CARD_KEY not in metadata:
        raise CheckpointError(
            f"{path} has no '{CARD_KEY}' card in its metadata: it holds tensors but does not say "
            f"of which network; expected a file written by 'fpmc-bench teacher train'"
        )
    return tensors, json.loads(metadata[CARD_KEY])
