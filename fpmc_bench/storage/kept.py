"""Tensors that are kept for later under a name that says what they were made from.

A name alone proves nothing: disks and copies damage files, and a file may be moved to the place of
another. So a kept file holds its own name and a digest of its content, and one that is not what its
name says is said and made anew.
"""

import logging
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open
from torch import Tensor

from fpmc_bench.errors import CheckpointError
from fpmc_bench.storage.tensors import card_of, load_tensors, other_file, save_tensors

log = logging.getLogger(__name__)


def keep_tensors(path: Path, tensors: Mapping[str, Tensor], card: Mapping[str, Any]) -> None:
    """Write `tensors` of any shapes and types, and `card` (JSON), whole or not at all."""
    save_tensors(path, tensors, {"name": path.name, "card": dict(card)})


def kept_tensors(path: Path) -> tuple[dict[str, Tensor], dict[str, Any]] | None:
    """What `keep_tensors` put at `path`, tensors mapped from it; None where there is nothing.

    None too for a file that is damaged, or another's, once a line of the log has said so. It stays
    until what is made anew takes its place.
    """
    if not path.exists():
        return None
    try:
        return read_kept(path)
    except CheckpointError as error:
        _say(f"{error}; it is made anew")
        return None


def read_kept(path: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Tensors of any shapes and card of a file; CheckpointError where it is not what was kept."""
    tensors, content = load_tensors(path, "fpmc-bench", sealed=True)
    return tensors, _own_card(path, content)


def read_card(path: Path) -> dict[str, Any]:
    """The card alone, without the tensors; CheckpointError where there is none of this name."""
    try:
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
    except (SafetensorError, OSError) as error:
        raise other_file(path, error, "fpmc-bench") from error
    return _own_card(path, card_of(path, metadata, "fpmc-bench"))


def _own_card(path: Path, content: Mapping[str, Any]) -> dict[str, Any]:
    """CheckpointError where it was written for a file of another name."""
    if content.get("name") != path.name or not isinstance(content.get("card"), dict):
        raise CheckpointError(f"{path} was written under another name")
    return dict(content["card"])


@lru_cache(maxsize=1024)
def _say(line: str) -> None:
    """Once a process, which may look for a file several times before it makes it."""
    log.warning(line)
