"""What a plugin does beside answering: the files it loads, the settings and numbers it moves.

Each is a context that yields a list, filled when something happens or when the block is left.
"""

import os
import random
import shutil
import tempfile
import uuid
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import wraps
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import torch

from fpmc_bench.catalog.installed import installed_registry
from fpmc_bench.catalog.process_state import ProcessState, own_randomness
from fpmc_bench.storage.cache import ENVIRONMENT_VARIABLE

SEED = 20_250_731
"""Of the generators that everyone draws from: one that no plugin is likely to give them."""


@contextmanager
def loads() -> Iterator[list[str]]:
    """Every dataset's split and every network that any installed plugin loads within the block.

    As "images: the test split of 'digits'" and "network: 'digits-ncsnpp'". What is read from files
    without a plugin is not seen.
    """
    loaded: list[str] = []

    def noted(method: Callable[..., Any], told: Callable[..., str]) -> Callable[..., Any]:
        @wraps(method)
        def load(self: Any, *arguments: Any, **named: Any) -> Any:
            loaded.append(told(self, *arguments, *named.values()))
            return method(self, *arguments, **named)

        return load

    def split_of(plugin: Any, *arguments: Any) -> str:
        return f"images: the {arguments[-1]} split of '{plugin.name}'"

    def network_of(plugin: Any, *_: Any) -> str:
        return f"network: '{plugin.name}'"

    items = installed_registry().items
    with ExitStack() as stack:
        for kind, told in (("datasets", split_of), ("teachers", network_of)):
            for registered in items[kind].values():
                for name in ("load", "load_from"):
                    method = getattr(registered.item, name, None)
                    if method is not None:
                        patched = mock.patch.object(registered.item, name, noted(method, told))
                        stack.enter_context(patched)
        yield loaded


@contextmanager
def process_changes() -> Iterator[list[str]]:
    """Settings of the process that are others when the block is left, in words; put back then.

    Those of `catalog/process_state.py`: torch's default dtype, threads and modes, numpy's errors,
    the environment, the working directory.
    """
    changes: list[str] = []
    before = ProcessState.now()
    try:
        yield changes
    finally:
        changes += before.put_back()


@contextmanager
def random_changes() -> Iterator[list[str]]:
    """Which of the generators of torch, numpy and random the block has moved; put back then."""
    changes: list[str] = []
    with own_randomness(SEED):
        before = _numbers()
        try:
            yield changes
        finally:
            now = _numbers()
            changes += [name for name in before if now[name] != before[name]]


def _numbers() -> dict[str, str]:
    """The state of each generator, as text."""
    numpy = np.random.get_state(legacy=False)
    assert isinstance(numpy, dict)
    state = {name: np.asarray(value).tolist() for name, value in numpy["state"].items()}
    return {
        "torch": str(torch.get_rng_state().tolist()),
        "numpy": str({**numpy, "state": state}),
        "random": str(random.getstate()),
    }


@contextmanager
def fresh_cache() -> Iterator[None]:
    """An empty cache within the block, gone after it: nothing is there from an earlier time."""
    # most plugins never ask for it: the folder is there when one does
    folder = Path(tempfile.gettempdir()) / f"fpmc-bench-check-{uuid.uuid4().hex}"
    try:
        with mock.patch.dict(os.environ, {ENVIRONMENT_VARIABLE: str(folder)}):
            yield
    finally:
        if folder.exists():
            shutil.rmtree(folder, ignore_errors=True)
