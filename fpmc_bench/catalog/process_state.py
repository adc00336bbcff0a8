"""The process as plugins share it: what moves everyone's figures, read, compared and put back.

What is not watched: functions that a plugin replaces in modules of others, signal handlers, and the
filters of warnings.
"""

import os
import random
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import torch

OF_LIBRARIES = ("KMP_", "PYTORCH", "TORCH", "TRITON")
"""Beginnings of variables that aren't watched: torch, its compiler and scikit-learn add such."""
PRECISIONS = (
    "fp32_precision",
    "cudnn.fp32_precision",
    "cuda.matmul.fp32_precision",
    "cudnn.conv.fp32_precision",
    "cudnn.rnn.fp32_precision",
    "mkldnn.fp32_precision",
    "mkldnn.matmul.fp32_precision",
    "mkldnn.conv.fp32_precision",
    "mkldnn.rnn.fp32_precision",
)
"""Attributes of torch.backends, as far as this torch has them."""
SWITCHES = ("cudnn.enabled", "cudnn.benchmark", "cudnn.deterministic")
DEVICES = ("cpu", "cuda")
"""Those that have an autocast of their own."""


@dataclass(frozen=True)
class Watched:
    """How a setting of the process is read, and how it is put back."""

    read: Callable[[], Any]
    write: Callable[[Any], object]
    shown: bool = True
    """Whether a value is fit for a message: no place on a disk is."""


@dataclass(frozen=True)
class ProcessState:
    """Settings by name, the environment's variables and the working directory, at one moment."""

    settings: Mapping[str, Any]
    variables: Mapping[str, str]

    @classmethod
    def now(cls) -> "ProcessState":
        """As the process is; takes some ten microseconds."""
        variables = {
            name: value for name, value in os.environ.items() if not name.startswith(OF_LIBRARIES)
        }
        return cls({name: one.read() for name, one in _watched().items()}, variables)

    def put_back(self) -> list[str]:
        """Make the process what it was; says in words what had become otherwise."""
        now = ProcessState.now()
        if now == self:
            return []
        changes = []
        for name, one in _watched().items() if now.settings != self.settings else ():
            was, found = self.settings[name], now.settings[name]
            if was != found:
                changes.append(f"{name} (from {was} to {found})" if one.shown else name)
            one.write(was)  # all of them: some move others along
        return changes + self._put_back_variables(now)

    def _put_back_variables(self, now: "ProcessState") -> list[str]:
        added = now.variables.keys() - self.variables
        others = [name for name, was in self.variables.items() if now.variables.get(name) != was]
        for name in added:
            del os.environ[name]
        os.environ.update({name: self.variables[name] for name in others})
        return [f"the environment's variable {name}" for name in sorted((*added, *others))]


@contextmanager
def own_randomness(seed: int | None = None) -> Iterator[None]:
    """Leave the numbers that torch, numpy and random draw next as they were before the block.

    With a `seed` the block draws what follows from that alone; on every device.
    """
    before = np.random.get_state(), random.getstate()
    devices = range(torch.cuda.device_count()) if torch.cuda.is_initialized() else ()
    with torch.random.fork_rng(devices=list(devices)):
        try:
            if seed is not None:
                torch.manual_seed(seed)
                np.random.seed(seed % 2**32)
                random.seed(seed)
            yield
        finally:
            np.random.set_state(before[0])
            random.setstate(before[1])


@cache
def _watched() -> Mapping[str, Watched]:
    """By what a user would call it, in the order in which they are put back."""
    found = {
        "torch's default dtype": Watched(torch.get_default_dtype, torch.set_default_dtype),
        "torch's default device": Watched(torch.get_default_device, _set_default_device),
        "torch's number of threads": Watched(torch.get_num_threads, torch.set_num_threads),
        "torch's inference mode": Watched(torch.is_inference_mode_enabled, _set_inference_mode),
        "torch's grad mode": Watched(torch.is_grad_enabled, torch.set_grad_enabled),
        "torch's deterministic algorithms": Watched(_deterministic, _set_deterministic),
        "torch's float32 matmul precision": Watched(_matmul_precision, _set_matmul_precision),
        "flushing of denormal numbers": Watched(_flushes_denormals, torch.set_flush_denormal),
        "numpy's handling of errors": Watched(np.geterr, lambda was: np.seterr(**was), shown=False),
        "the working directory": Watched(_directory, _set_directory, shown=False),
    }
    for path in (*PRECISIONS, *SWITCHES):
        *holders, attribute = path.split(".")
        holder: Any = torch.backends
        for name in holders:
            holder = getattr(holder, name, None)
        if hasattr(holder, attribute):
            found[f"torch.backends.{path}"] = _attribute(holder, attribute)
    found |= {f"torch's autocast on {device}": _autocast(device) for device in DEVICES}
    return found | {"blocks of torch's autocast": Watched(_autocast_blocks, _leave_autocast)}


def _attribute(holder: object, name: str) -> Watched:
    return Watched(lambda: getattr(holder, name), lambda was: setattr(holder, name, was))


def _autocast(device: str) -> Watched:
    def write(was: tuple[bool, torch.dtype]) -> None:
        torch.set_autocast_enabled(device, was[0])
        torch.set_autocast_dtype(device, was[1])

    return Watched(
        lambda: (torch.is_autocast_enabled(device), torch.get_autocast_dtype(device)), write
    )


def _autocast_blocks() -> int:
    """How many are open. Weights that were cast are kept until none is, however they change."""
    torch.autocast_increment_nesting()
    return torch.autocast_decrement_nesting()  # the only way to read it


def _leave_autocast(was: int) -> None:
    while _autocast_blocks() > was:
        torch.autocast_decrement_nesting()
        torch.clear_autocast_cache()


def _set_default_device(was: torch.device) -> None:
    # None: without the mode that makes every call of torch slower
    torch.set_default_device(None if was.type == "cpu" else was)


_inference_modes: list[torch.inference_mode] = []
"""Entered to undo what was left entered; one that is forgotten leaves by itself."""


def _set_inference_mode(was: bool) -> None:
    if torch.is_inference_mode_enabled() != was:
        _inference_modes.append(torch.inference_mode(was))
        _inference_modes[-1].__enter__()


def _deterministic() -> tuple[bool, bool]:
    return (
        torch.are_deterministic_algorithms_enabled(),
        torch.is_deterministic_algorithms_warn_only_enabled(),
    )


def _set_deterministic(was: tuple[bool, bool]) -> None:
    torch.use_deterministic_algorithms(was[0], warn_only=was[1])


def _matmul_precision() -> str:
    try:
        return torch.get_float32_matmul_precision()
    except RuntimeError:  # set for one backend, by the newer attributes alone
        return "mixed"


def _set_matmul_precision(was: str) -> None:
    if was != "mixed":
        torch.set_float32_matmul_precision(was)


def _flushes_denormals() -> bool:
    return sys.float_info.min / 2 == 0


def _directory() -> str:
    try:
        return str(Path.cwd())
    except FileNotFoundError:  # it was removed
        return ""


def _set_directory(was: str) -> None:
    if was:
        os.chdir(was)
